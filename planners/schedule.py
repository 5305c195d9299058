"""How long to train, how large to be, and how to descend: everything that experiments tune, named at the top.

Time is shared in three cuts: a margin of the hours stays unspent; preprocessing, inference and the report take what
they are predicted to; the rest is split equally among the jobs (configuration x fold). A network is sized so that a job
still gets ``target_steps``: too few steps ruin a large network, while beyond that number size helps more than steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from planners.contracts import Budget, Fingerprint, LabelKind, Preset, Reason, TrainingPlan
from planners.patch import WidthTable

# ------------------------------------------------------------------------------------------------------------ time
TRAINING_SHARE = 0.92  # of the hours, before all else that is predicted is taken off; the margin for mispredictions
DETERMINISTIC_SHARE = 0.85  # of the steps that fit: without a clock to stop by, a slow hour must not break the budget
CLOCK_HEADROOM = 1.5  # times the predicted steps, at which a job ends that a clock is to end
HOLDOUT_ALLOWANCE = 0.1  # cases that every fold's model predicts at the end, as a share of the development cases
FEWEST_STEPS = 60  # a fold with fewer has learned nothing: no plan rather than a bad one
FEWEST_STEPS_WITHOUT_HOURS = 300  # where no hours bind, slow data take longer than the preset's hours instead
FEWEST_FOLDS = 2  # in which every case is still predicted by a model that never saw it
FOLD_STEPS = {2: 300, 3: 350}  # by dimension: with fewer steps per fold, fewer folds train better models
MONITOR_SHARE = 0.05  # of the subjects, left out of training to end it early where no hours bind it
MOST_MONITORS = 8
FEWEST_TO_SPARE = 40  # subjects: with fewer, each is worth more in training
CPU_HOURS: dict[Preset, float] = {"fast": 0.3, "standard": 1.0, "max": 6.0}  # where no hours are given
MOST_STEPS: dict[Preset, int] = {"fast": 10_000, "standard": 40_000, "max": 100_000}  # per fold; a GPU's default
ADMITTED_SHARE = 0.5  # of the target steps that preset "max" leaves each configuration when two share the time

# ------------------------------------------------------------------------------------------------------------ size


@dataclass(frozen=True)
class Ambition:
    """What to aim for on a kind of machine. Dictionaries are by dimension of the patch.

    Attributes:
        target_steps: Steps per fold that the network's size must leave room for.
        widening_steps: The same for networks that are wider than their patch calls for: beyond the largest patch,
            steps are worth more than features for longer.
        widths: Features of the first stage, and the voxels a patch must hold before that width comes ahead of a
            larger patch. On a CPU both grow together; on a GPU full width comes first.
        most_stages: Depth. On a CPU the deepest stages cost more in weights than they see in context.
        fewest_samples: Batch that the network is sized for.
        most_samples: Largest batch.
        batch_voxels: The batch grows while it holds no more voxels than this.
        residual: Presets that buy residual blocks in the encoder.
    """

    target_steps: dict[int, int]
    widening_steps: dict[int, int]
    widths: dict[int, WidthTable]
    most_stages: dict[int, int]
    fewest_samples: dict[int, int]
    most_samples: dict[int, int]
    batch_voxels: dict[int, int]
    residual: tuple[Preset, ...]

    def steps_for(self, dimension: int, *, wider: bool) -> int:
        """What a network must still get, one that is wider than its patch calls for or another."""
        return (self.widening_steps if wider else self.target_steps)[dimension]


CPU = Ambition(
    target_steps={2: 600, 3: 700},
    widening_steps={2: 2000, 3: 2000},
    widths={
        2: ((8, 0), (16, 64**2), (24, 320**2), (32, 448**2)),
        3: ((8, 0), (16, 32**3), (24, 96**3), (32, 112**3)),
    },
    most_stages={2: 6, 3: 5},
    fewest_samples={2: 4, 3: 2},
    most_samples={2: 16, 3: 2},  # a CPU has few steps as it is: in 3D time goes into more of them
    batch_voxels={2: 8 * 256**2, 3: 2 * 64**3},
    residual=(),
)
ACCELERATOR = Ambition(
    target_steps={2: 4000, 3: 4000},
    widening_steps={2: 4000, 3: 4000},
    widths={2: ((8, 0), (16, 64**2), (32, 96**2)), 3: ((8, 0), (16, 32**3), (32, 40**3))},
    most_stages={2: 8, 3: 6},
    fewest_samples={2: 8, 3: 2},
    most_samples={2: 32, 3: 8},
    batch_voxels={2: 12 * 512**2, 3: 2 * 128**3},
    residual=("max",),
)

# ------------------------------------------------------------------------------------------------------- descending
LONG_SCHEDULE_STEPS = 20_000  # from here on SGD with momentum generalises best; below it has not the time to
LEARNING_RATE = {"adamw": 2e-3, "sgd": 1e-2}  # for REFERENCE_BATCH samples per step
REFERENCE_BATCH = {2: 4, 3: 2}  # by dimension: what the rates were found with
RATE_CHANGE = (0.5, 2.0)  # at most, for batches of other sizes
MOMENTUM = {"adamw": 0.9, "sgd": 0.99}
WEIGHT_DECAY = {"adamw": 1e-2, "sgd": 3e-5}
WARMUP_SHARE = {"adamw": 0.05, "sgd": 0.01}
EMA_HORIZON_SHARE = 0.06  # of all steps, over which the shipped weights are averaged
EMA_SHORTEST_HORIZON = 10  # steps
FREQUENCY = (1e-2, 1e-4)  # of the rarest label among all voxels: common, rare; in between on a logarithmic scale
FOREGROUND_FRACTION = (0.33, 0.5)  # of patches that are centred on foreground, where the rarest label is so frequent
WHOLE_IMAGE_SHARE = 0.5  # a patch that covers less of the typical image misses labels; Dice is then summed per batch


def ambition(budget: Budget) -> Ambition:
    """What to aim for on this machine. Apple's accelerator has the speed of a large CPU."""
    return ACCELERATOR if budget.device.startswith("cuda") else CPU


def hours_to_plan(budget: Budget) -> float | None:
    """The hours asked for, or the preset's on a CPU. Null on an accelerator: there the preset sets the steps."""
    if budget.hours is not None:
        return budget.hours
    return CPU_HOURS[budget.preset] if ambition(budget) is CPU else None


def job_seconds(budget: Budget, other_s: float, jobs: int) -> float:
    """Training seconds of each job, after ``other_s`` for all that is not training; infinite without hours."""
    hours = hours_to_plan(budget)
    if hours is None:
        return math.inf
    return max(0.0, TRAINING_SHARE * 3600 * hours - other_s) / rounds(budget, jobs)


def rounds(budget: Budget, jobs: int) -> int:
    """How many jobs each accelerator trains, one after another."""
    return math.ceil(jobs / budget.accelerators)


def steps_within(seconds: float, step_s: float, budget: Budget) -> int:
    """Steps that are predicted to fit, at most the preset's maximum."""
    share = DETERMINISTIC_SHARE if budget.deterministic else 1.0
    return int(min(seconds * share / step_s, MOST_STEPS[budget.preset]))


def affordable_folds(budget: Budget, training_s: float, jobs: Sequence[tuple[int, float]]) -> int:
    """As many folds as there are; fewer, where hours leave a fold too few steps.

    Args:
        budget: Its ``folds`` are the most.
        training_s: For all jobs together.
        jobs: Dimension and seconds per step of each configuration.
    """

    def enough(folds: int) -> bool:
        seconds = training_s / rounds(budget, folds * len(jobs))
        return all(steps_within(seconds, step_s, budget) >= FOLD_STEPS[dimension] for dimension, step_s in jobs)

    fewest = min(FEWEST_FOLDS, budget.folds)
    if budget.hours is None:
        return budget.folds
    return next((folds for folds in range(budget.folds, fewest, -1) if enough(folds)), fewest)


def monitor_cases(budget: Budget, subjects: int) -> int:
    """Cases that watch training, so that it ends when nothing is gained; none where a clock ends it anyway."""
    if hours_to_plan(budget) is not None or subjects < FEWEST_TO_SPARE:
        return 0
    return min(MOST_MONITORS, round(MONITOR_SHARE * subjects))


def smallest_hours(budget: Budget, step_s: float, other_s: float, jobs: int) -> float:
    """Hours that leave each job FEWEST_STEPS, rounded up to hundredths."""
    share = DETERMINISTIC_SHARE if budget.deterministic else 1.0
    seconds = other_s + jobs * (FEWEST_STEPS + 1) * step_s / share
    return math.ceil(100 * seconds / (3600 * TRAINING_SHARE)) / 100


def descent(base: TrainingPlan, fingerprint: Fingerprint, coverage: float) -> tuple[TrainingPlan, tuple[Reason, ...]]:
    """Fill in optimizer, learning rate, averaging, sampling and loss for a plan whose steps are known.

    Args:
        base: Patch, batch, steps, precision and augmentation.
        fingerprint: The data.
        coverage: Share of the typical image that a patch holds.
    """
    kind: Literal["sgd", "adamw"] = "sgd" if base.steps >= LONG_SCHEDULE_STEPS else "adamw"
    rarest = min((label.voxel_fraction for label in fingerprint.labels), default=0.0)
    horizon = max(float(EMA_SHORTEST_HORIZON), EMA_HORIZON_SHARE * base.steps)
    training = base.model_copy(
        update={
            "optimizer": kind,
            "learning_rate": learning_rate(kind, base.batch, len(base.patch_vox)),
            "momentum": MOMENTUM[kind],
            "weight_decay": WEIGHT_DECAY[kind],
            "schedule": "poly",
            "warmup_share": WARMUP_SHARE[kind],
            "ema_decay": round(1 - 1 / horizon, 6),
            "loss": "dice_ce",
            "batch_dice": len(base.patch_vox) == 2 or coverage < WHOLE_IMAGE_SHARE,
            "foreground_fraction": foreground_fraction(rarest),
        }
    )
    loss_reason = _loss_reason(training, fingerprint.kind, coverage)
    return training, (_optimizer_reason(training), _sampling_reason(training, rarest), loss_reason)


def learning_rate(kind: Literal["sgd", "adamw"], batch: int, dimension: int) -> float:
    """Grows with the root of the batch: the gradient's noise shrinks by as much.

    Source: Malladi et al. 2022 (arXiv:2205.10287) for adaptive steps; for the others on the careful side of the linear
    rule of Goyal et al. 2017 (arXiv:1706.02677).

    >>> learning_rate("adamw", 2, 3), learning_rate("adamw", 8, 3), learning_rate("adamw", 800, 3)
    (0.002, 0.004, 0.004)
    """
    least, most = RATE_CHANGE
    change = min(most, max(least, math.sqrt(batch / REFERENCE_BATCH[dimension])))
    return float(f"{change * LEARNING_RATE[kind]:.3g}")


def foreground_fraction(rarest: float) -> float:
    """Share of patches that are centred on foreground, from the frequency of the rarest label.

    >>> foreground_fraction(0.1), foreground_fraction(1e-3), foreground_fraction(0.0)
    (0.33, 0.415, 0.5)
    """
    common, rare = (math.log(frequency) for frequency in FREQUENCY)
    rarity = (common - math.log(max(rarest, FREQUENCY[1]))) / (common - rare)
    low, high = FOREGROUND_FRACTION
    return round(low + (high - low) * min(1.0, max(0.0, rarity)), 3)


def _optimizer_reason(training: TrainingPlan) -> Reason:
    if training.optimizer == "sgd":
        because = "a long schedule: momentum with slow decay generalises best, and there is time for it"
        source = "Isensee et al., Nature Methods 18 (2021), training"
    else:
        because = "a short schedule: adaptive steps get further in few of them, late decay further still"
        source = "own experiments with minutes of training, benchmarks/results/recipe.md"
    return Reason(
        rule="schedule.learning_rate",
        saw=f"{training.steps} steps per fold of {training.batch} patches each",
        chose=f"{training.optimizer}, learning rate {training.learning_rate:g}, {training.schedule} decay after "
        f"{training.warmup_share:.0%} warm-up; weights averaged with decay {training.ema_decay:g}",
        because=f"{because} (the border is at {LONG_SCHEDULE_STEPS} steps); the rate grows with the root of the batch, "
        f"from {LEARNING_RATE[training.optimizer]:g} for {REFERENCE_BATCH[len(training.patch_vox)]}; the average spans "
        f"{EMA_HORIZON_SHARE:.0%} of the steps, so that it forgets the beginning and smooths the end",
        source=source,
    )


def _sampling_reason(training: TrainingPlan, rarest: float) -> Reason:
    return Reason(
        rule="schedule.foreground",
        saw=f"the rarest label fills {rarest:.3%} of all voxels",
        chose=f"{training.foreground_fraction:.0%} of patches hold foreground for sure",
        because=f"from {FREQUENCY[0]:.0%} of all voxels down to {FREQUENCY[1]:.2%} a label is met ever more seldom by "
        "chance; more than half would teach that it is everywhere",
        source="Isensee et al., Nature Methods 18 (2021), oversampling; the share made to depend on rarity",
    )


def _loss_reason(training: TrainingPlan, kind: LabelKind, coverage: float) -> Reason:
    entropy = "binary cross entropy per region" if kind == "regions" else "cross entropy"
    over = "the batch" if training.batch_dice else "each sample"
    return Reason(
        rule="schedule.loss",
        saw=f"a patch covers {coverage:.0%} of a typical image",
        chose=f"Dice, summed over {over}, plus {entropy}",
        because="Dice matches the score and cross entropy keeps its gradient smooth; where patches often miss a label, "
        "Dice per sample is erratic",
        source="Isensee et al., Nature Methods 18 (2021), loss",
    )
