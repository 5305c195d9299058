"""Records of made-up runs for the tests of the report: a typical one, and the odd ones a page must survive."""

from dataclasses import dataclass, replace

import numpy as np

from autoseg.contracts import (
    Audit,
    AuditEntry,
    Bias,
    BiasStrength,
    Calibration,
    CalibrationCheck,
    Case,
    CaseChange,
    CaseContent,
    CaseScore,
    Channel,
    ConfigurationValidation,
    CurvePoint,
    Dataset,
    Decision,
    Energy,
    Expectation,
    ExpectationError,
    ExpectedDice,
    Foresight,
    Importance,
    Interval,
    Label,
    LabelSet,
    Means,
    Member,
    NestedTarget,
    Postprocessing,
    PredictedCase,
    Prediction,
    Prepared,
    PreparedCase,
    PreparedConfiguration,
    Region,
    Scores,
    Selection,
    Split,
    TargetCheck,
    TargetScore,
    TargetSummary,
    TrainedModel,
    Trial,
    Validation,
)
from autoseg.page.before_after import Comparison
from autoseg.page.overlays import OverlayInput
from autoseg.phantoms import phantom
from autoseg.stages.report import RunRecords
from autoseg.volumes.metrics import METRICS
from planners.contracts import (
    Budget,
    CaseFingerprint,
    ChannelFingerprint,
    Configuration,
    Cost,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
    NetworkPlan,
    Normalization,
    Outlier,
    Plan,
    Provenance,
    Reason,
    Skipped,
    Throughput,
    TrainingPlan,
    Version,
)

ERROR = ExpectationError(
    cases=40, error=0.031, constant_error=0.052, bias=-0.012, rank_correlation=0.61, inside=0.9, low=5, flagged=6,
    low_flagged=4,
)  # fmt: skip
CALIBRATION = Calibration(
    temperature=1.5, fitted=1.5, ece_before=0.0071, ece_after=0.0013, predictions=9, because="Probabilities off."
)
CONVENTION = "Absent from both: left out; predicted but absent from the reference: Dice 0."


@dataclass(frozen=True)
class Sample:
    """What to make up."""

    labels: tuple[str, ...] = ("Anterior", "Posterior")
    regions: bool = False
    development: int = 80
    holdout: int = 40
    folds: int = 5
    dice: float = 0.88
    spread: float = 0.04
    flat: bool = False
    grey: str = "mri"
    prefix: str = "hippocampus_"
    seed: int = 0

    @property
    def modality(self):
        return "rgb" if self.flat else self.grey

    @property
    def targets(self) -> tuple[str, ...]:
        return ("whole", "core") if self.regions else self.labels

    @property
    def spacing(self):
        return (1.0, 1.0, 1.0)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}{i:03d}" for i in range(self.development + self.holdout))


def provenance(seconds: float, memory: int | None = 900_000_000) -> Provenance:
    versions = (Version(package="torch", version="2.13.0"), Version(package="numpy", version="2.1.0"))
    return Provenance(started="2026-01-01", seconds=seconds, host="h", peak_memory_bytes=memory, versions=versions)


def interval(values: list[float], seed: int = 0) -> Interval:
    if not values:
        return Interval()
    means = np.random.default_rng(seed).choice(values, (500, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(value=float(np.mean(values)), low=float(low), high=float(high), n=len(values))


def scores(sample: Sample, names: tuple[str, ...], shift: float = 0.0) -> Scores:
    rng = np.random.default_rng(sample.seed + len(names))
    cases = []
    for number, name in enumerate(names):
        targets = []
        for index, target in enumerate(sample.targets):
            dice = float(np.clip(sample.dice + shift - 0.02 * (index % 3) + rng.normal(0, sample.spread), 0.02, 0.99))
            if number == 3 and sample.dice > 0.5:
                dice /= 2
            volume = float(rng.uniform(1200, 2400) / (index + 1))
            missing = number == 5 and index == len(sample.targets) - 1
            targets.append(
                TargetScore(
                    target=target,
                    dice=None if missing else dice,
                    nsd=None if missing else min(1.0, dice + 0.08),
                    hd95_mm=None if missing else float(4 * (1 - dice) + rng.uniform(0.5, 1.0)),
                    assd_mm=None if missing else 2 * (1 - dice),
                    sensitivity=None if missing else min(1.0, dice + 0.02),
                    precision=None if missing else max(0.0, dice - 0.02),
                    relative_volume_error=None if missing else 0.04,
                    volume_error_mm3=None if missing else 40.0,
                    lesions_found=None if missing else 1.0 + index,
                    lesions_missed=None if missing else 0.0,
                    lesion_f1=None if missing else 1.0,
                    reference_mm3=0.0 if missing else volume,
                    predicted_mm3=0.0 if missing else volume * float(rng.normal(1.02, 0.08)),
                )
            )
        cases.append(CaseScore(case=name, subject=name, targets=tuple(targets)))
    summaries = tuple(_summary(target, cases) for target in sample.targets)
    defined = [s for s in summaries if s.dice.value is not None]
    return Scores(
        tolerance_mm=2.0,
        cases=tuple(cases),
        targets=summaries,
        mean_dice=_mean([s.dice for s in defined]),
        mean_nsd=_mean([s.nsd for s in defined]),
        means=Means(**{name: _mean([getattr(s, name) for s in defined if getattr(s, name).n]) for name in METRICS}),
        convention=CONVENTION,
    )


def _summary(target: str, cases: list[CaseScore]) -> TargetSummary:
    found = [t for case in cases for t in case.targets if t.target == target]
    return TargetSummary(
        target=target,
        **{name: interval([v for t in found if (v := getattr(t, name)) is not None]) for name in METRICS},
        absent=sum(t.reference_mm3 == 0 for t in found),
    )


def _mean(parts: list[Interval]) -> Interval:
    if not parts:
        return Interval()
    value, low, high = (float(np.mean([getattr(p, side) for p in parts])) for side in ("value", "low", "high"))
    return Interval(value=value, low=low, high=high, n=max(p.n for p in parts))


def labels(sample: Sample) -> LabelSet:
    found = tuple(Label(name=name, value=i + 1) for i, name in enumerate(sample.labels))
    if not sample.regions:
        return LabelSet(labels=found)
    regions = (Region(name="whole", members=(1, 2), writes=1), Region(name="core", members=(2,), writes=2))
    return LabelSet(kind="regions", labels=found, regions=regions, ignore_value=9)


def dataset(sample: Sample) -> Dataset:
    development, holdout = sample.names[: sample.development], sample.names[sample.development :]
    folds = tuple(development[k :: sample.folds] for k in range(sample.folds)) if sample.folds > 1 else ((),)
    entries = [AuditEntry(case=name, verdict="ok") for name in sample.names[3:]]
    entries += [
        AuditEntry(case=name, verdict="repaired", reason="label origin is 0.129 voxel off", repair="moved to the image")
        for name in sample.names[:3]
    ]
    entries.append(AuditEntry(case="broken_01", verdict="quarantined", reason="image is cut short (CRC differs)"))
    channels = ("R", "G", "B") if sample.flat else ("MRI",)
    return Dataset(
        layout="pairs" if sample.flat else "msd",
        dimension=2 if sample.flat else 3,
        channels=tuple(Channel(name=name) for name in channels),
        labels=labels(sample),
        cases=tuple(Case(case=n, subject=n, images=(f"i/{n}.nii.gz",), label=f"l/{n}.nii.gz") for n in sample.names),
        contents=tuple(CaseContent(case=name, content="0" * 64) for name in sample.names),
        split=Split(holdout=holdout, folds=folds, seed=1, because=f"{sample.folds} folds grouped by subject."),
        audit=Audit(entries=tuple(entries), left_over=("notes.txt", "._junk.nii.gz")),
        provenance=provenance(21.0),
    )


def fingerprint(sample: Sample) -> Fingerprint:
    rng = np.random.default_rng(1)
    statistics = IntensityStatistics(
        count=1_234_567,
        mean=310.2,
        std=88.1,
        minimum=0,
        percentile_00_5=4,
        median=300,
        percentile_99_5=780,
        maximum=990,
    )
    cases = []
    for name in sample.names[: sample.development]:
        shape = (1, 256, 320) if sample.flat else tuple(int(v) for v in rng.integers((24, 40, 30), (48, 60, 44)))
        cases.append(
            CaseFingerprint(case=name, shape=shape, spacing_mm=sample.spacing, orientation="RAS", cropped_shape=shape)
        )
    names = ("R", "G", "B") if sample.flat else ("MRI",)
    return Fingerprint(
        dimension=2 if sample.flat else 3,
        spacing_known=not sample.flat,
        kind="regions" if sample.regions else "exclusive",
        heads=labels(sample).heads,
        has_ignore=sample.regions,
        subjects=sample.development,
        channels=tuple(
            ChannelFingerprint(name=name, modality=sample.modality, overall=statistics, foreground=statistics)
            for name in names
        ),
        labels=tuple(
            LabelFingerprint(
                name=name,
                cases=sample.development if index else max(1, sample.development - 1),
                voxel_fraction=0.021,
                volume_mm3=1650.0,
                components=1.0,
                component_volume_mm3=1600.0,
                extent_mm=(18.0, 22.0, 14.0),
            )
            for index, name in enumerate(sample.targets)
        ),
        cases=tuple(cases),
        outliers=(Outlier(case=sample.names[0], what="mean intensity", value=1.2e6, typical=310.0),),
        provenance=provenance(0.2),
    )


def budget() -> Budget:
    return Budget(
        device="cpu",
        device_name="Intel Xeon Platinum",
        cores=2,
        memory_bytes=20_000_000_000,
        ram_bytes=22_000_000_000,
        disk_bytes=80_000_000_000,
        precision="bf16",
        throughputs=(Throughput(dimension=3, precision="bf16", flops_per_s=2e11, bytes_per_s=1e10),),
        step_overhead_s=0.002,
        hours=0.4,
        provenance=provenance(12.0),
    )


def configuration(sample: Sample) -> Configuration:
    dimension = 2 if sample.flat else 3
    return Configuration(
        name="2d" if sample.flat else "3d_fullres",
        dimension=dimension,
        spacing_mm=(None, 1.0, 1.0) if sample.flat else (1.0, 1.0, 1.0),
        median_shape_vox=(1, 256, 320) if sample.flat else (36, 50, 35),
        normalization=(Normalization(channel="MRI", scheme="rgb_to_0_1" if sample.flat else "zscore"),),
        network=NetworkPlan(
            family="plain_unet",
            dimension=dimension,
            in_channels=1,
            heads=3,
            features=(16, 32, 64, 128),
            strides=((1,) * dimension, (2,) * dimension, (2,) * dimension, (2,) * dimension),
            kernels=((3,) * dimension,) * 4,
            convolutions_encoder=(2, 2, 2, 2),
            convolutions_decoder=(2, 2, 2),
        ),
        training=TrainingPlan(patch_vox=(40, 56, 40)[:dimension], batch=2, steps=1500, seconds=240.0),
        cost=Cost(memory_bytes=1_400_000_000, step_s=0.15, fold_training_s=225.0, case_inference_s=0.4),
    )


def plan(sample: Sample) -> Plan:
    reasons = (
        ("spacing.target", "spacing 1 × 1 × 1 mm in every case", "1 × 1 × 1 mm", "the median keeps detail at low cost"),
        ("patch.size", "median shape 36 × 50 × 35, 20 GB", "40 × 56 × 40", "a whole structure fits in one patch"),
        ("topology.stages", "patch 40 × 56 × 40", "4 levels", "halved until no axis is shorter than 4 voxels"),
        ("schedule.steps", "0.15 s per step, 0.4 h", "1500 steps in each of 5 folds", "fills the time, less a reserve"),
    )
    return Plan(
        planner="auto",
        configurations=(configuration(sample),),
        skipped=(Skipped(configuration="2d", because="voxels are cubes, so a 2D network sees less and wins nothing"),),
        reasons=tuple(
            Reason(
                rule=rule, configuration=configuration(sample).name, saw=saw, chose=chose, because=why, source=source
            )
            for (rule, saw, chose, why), source in zip(reasons, ("Isensee et al. 2021, Methods",) * 4, strict=True)
        ),
        predicted_hours=0.36,
        provenance=provenance(1.4),
    )


def prepared(sample: Sample) -> Prepared:
    case = PreparedCase(
        case=sample.names[0],
        source_shape=(36, 50, 35),
        source_spacing_mm=sample.spacing,
        crop_box=((0, 36), (0, 50), (0, 35)),
        shape=(36, 50, 35),
        spacing_mm=sample.spacing,
    )
    one = PreparedConfiguration(configuration=configuration(sample).name, cases=(case,), bytes=21_000_000)
    return Prepared(configurations=(one,), provenance=provenance(6.0))


def trained(sample: Sample) -> tuple[TrainedModel, ...]:
    made = []
    for fold, cases in enumerate(dataset(sample).split.folds):
        rng = np.random.default_rng(fold)
        curve = tuple(
            CurvePoint(
                step=step,
                seconds=0.15 * step,
                loss=float(0.9 - 1.6 * (1 - np.exp(-step / 250)) + rng.normal(0, 0.02)),
                learning_rate=0.01,
            )
            for step in range(25, 1501, 25)
        )
        made.append(
            TrainedModel(
                configuration=configuration(sample).name,
                fold=fold,
                weights="0" * 64,
                steps=1480,
                planned_steps=1500,
                seconds=231.0,
                data_wait_share=0.03,
                peak_memory_bytes=None if fold else 1_300_000_000,
                energy=() if fold else (Energy(joules=7200.0, measured=False, how="estimated from nothing"),),
                curve=curve,
                out_of_fold=cases,
                provenance=provenance(240.0, 1_500_000_000),
            )
        )
    return tuple(made)


def selection(sample: Sample) -> Selection:
    validated = sample.names[: sample.development] if sample.folds > 1 else ()
    oof = scores(sample, validated)
    value = oof.mean_dice.value
    members = (Member(configuration=configuration(sample).name, weight=1.0),)
    rng = np.random.default_rng(2)
    nested = Interval() if value is None else oof.mean_dice.model_copy(update={"value": value - 0.002})
    gain = Interval() if value is None else Interval(value=0.004, low=0.001, high=0.007, n=oof.mean_dice.n)
    post = tuple(Postprocessing(target=t, keep_largest=index == 0) for index, t in enumerate(sample.targets))
    trials = tuple(
        Trial(number=i, members=members, postprocessing=post, oof_mean_dice=value - float(rng.exponential(0.004)))
        for i in range(0 if value is None else 60)
    )
    decision = Decision(biases=(Bias(target=sample.targets[0], logit=0.25),)) if validated else Decision()
    preferred = trials[0].model_copy(update={"decision": decision, "oof_mean_dice": value}) if trials else None
    return Selection(
        members=members,
        postprocessing=post if validated else (),
        oof=oof,
        default_oof_mean_dice=None if value is None else value - 0.004,
        nested_mean_dice=nested,
        nested_gain=gain,
        trials=trials,
        because="Keeping the largest component of Anterior gained 0.004 Dice, more than one standard error.",
        decision=decision,
        case_s=12.0,
        nested_targets=tuple(NestedTarget(target=t, dice=nested, gain=gain) for t in sample.targets)
        if validated
        else (),
        nnunet=trials[1] if trials else None,
        nested_gain_over_nnunet=gain,
        bias_strengths=(BiasStrength(factor=1.5, oof_mean_dice=value - 0.001),) if value is not None else (),
        preferred=preferred,
        importance=importance(sample, value) if value is not None else (),
        changes=tuple(change(case, 0.01 if number % 3 else -0.01) for number, case in enumerate(oof.cases[:12])),
        calibration=CALIBRATION if validated else None,
        foresight=tuple(
            Foresight(expectation=Expectation(target=target, present=1.0), oof=ERROR, because=f"{target} is foreseen.")
            for target in sample.targets
            if validated
        ),
        provenance=provenance(44.0),
    )


def importance(sample: Sample, value: float) -> tuple[Importance, ...]:
    first = sample.targets[0]
    return (
        Importance(choice="members", possible=False),
        Importance(choice="mirror", possible=False),
        Importance(choice="bias", targets=(first,), variance_share=0.625, default_oof_mean_dice=value - 0.0031),
        Importance(choice="postprocessing", targets=(first,), default_oof_mean_dice=value - 0.0011),
        *(Importance(choice="postprocessing", targets=(name,)) for name in sample.targets[1:]),
    )


def change(case: CaseScore, gain: float) -> CaseChange:
    """Of a scored case: its first target's Dice was other before."""
    after = tuple(target.dice for target in case.targets)
    first = None if after[0] is None else max(0.0, after[0] - gain)
    return CaseChange(case=case.case, before=(first, *after[1:]), after=after)


def expected(sample: Sample, number: int) -> tuple[ExpectedDice, ...]:
    """One mask in seven is poor, and one in seven cannot be told."""
    dice = None if number % 7 == 1 else sample.dice / (1 + (number % 7 == 0))
    look = {0: "probably outlined less well than usual", 1: "its size is unlike that in any validated case"}
    low, high = (None, None) if dice is None else (dice - 0.05, min(1.0, dice + 0.05))
    first = ExpectedDice(target=sample.targets[0], dice=dice, low=low, high=high, look=look.get(number % 7, ""))
    return (first, *(ExpectedDice(target=target) for target in sample.targets[1:]))


def prediction(sample: Sample, cases: tuple[PredictedCase, ...]) -> Prediction:
    holdout = sample.names[sample.development :]
    if not holdout:
        return Prediction(cases=cases)
    return Prediction(
        cases=cases,
        holdout=scores(sample, holdout, -0.004),
        holdout_calibration=CalibrationCheck(ece_before=0.0059, ece_after=0.0007, predictions=2_100_000, cases=40),
        holdout_expectations=(TargetCheck(target=sample.targets[0], holdout=ERROR),),
    )


def run(sample: Sample | None = None) -> RunRecords:
    """A whole run."""
    sample = sample or Sample()
    chosen = selection(sample)
    holdout = sample.names[sample.development :]
    predicted = tuple(
        PredictedCase(
            case=name,
            status="done",
            output=f"{name}.nii.gz",
            seconds=1.3,
            volumes_mm3=(1.0, 1.0),
            expected=expected(sample, number),
        )
        for number, name in enumerate(holdout)
    )
    failed = PredictedCase(case="extra_1", status="failed", error="the file is cut short")
    return RunRecords(
        dataset=dataset(sample),
        fingerprint=fingerprint(sample),
        budget=budget(),
        plan=plan(sample),
        prepared=prepared(sample),
        trained=trained(sample),
        validation=Validation(
            configurations=(ConfigurationValidation(configuration=configuration(sample).name, oof=chosen.oof),),
            provenance=provenance(33.0),
        ),
        selection=chosen,
        prediction=prediction(sample, (*predicted, failed)),
        name="Task04_Hippocampus",
    )


def overlay(name: str) -> OverlayInput:
    """A phantom whose prediction is moved by a voxel."""
    made = phantom(sum(name.encode()), (30, 44, 40))
    return OverlayInput(made.image, made.label, np.roll(made.label, 1, axis=2), made.spacing_mm)


def comparison(name: str) -> Comparison:
    """The same; before, an island lay in a corner."""
    after = overlay(name)
    before = after.predicted.copy()
    before[1:4, 2:6, 2:6] = 1
    return Comparison(before, after)


def flat_comparison(name: str) -> Comparison:
    """Of a colour picture."""
    after = flat_overlay(name)
    before = after.predicted.copy()
    before[0, 2:12, 2:12] = 1
    return Comparison(before, after)


def flat_overlay(name: str) -> OverlayInput:
    """A colour picture."""
    made = phantom(sum(name.encode()), (1, 256, 320), channels=3)
    image = np.clip(made.image, 0, 255).astype(np.uint8)
    return OverlayInput(image, made.label, np.roll(made.label, 4, axis=2), (1.0, 1.0, 1.0))


__all__ = ["Sample", "comparison", "flat_comparison", "flat_overlay", "overlay", "replace", "run", "scores"]
