"""Going on from a trained model: its network, patch, spacing and normalization are kept, data and time decide the rest.

A network knows the look of its patches: with other voxel sizes or intensities its weights would be worth little. So all
that shaped them is kept, and only batch, steps and descent are planned anew.
"""

from planners import size as sizing
from planners import spacing as spacings
from planners.contracts import Budget, Configuration, Fingerprint, Normalization, Plan, Reason, TrainingPlan
from planners.errors import ImpossibleWish
from planners.size import Size, Task

RATE = 0.3  # of the learning rate from scratch: what was learned is to be bent, not overwritten
KEPT = {
    "spacing.target": "voxels are as large as those the network has learned from",
    "patch.size": "the patch that the network has learned with",
    "network.width": "the network is kept, with its weights",
    "network.encoder": "the network is kept, with its weights",
    "network.topology": "the network is kept, with its weights",
    "axes.order": "the order of axes that the network has learned",
}
"""Rules whose choice is the model's, and why."""
_SOURCE = "the model that training starts from"
_GENTLER = "schedule.finetuning"


def sized(like: Configuration, fingerprint: Fingerprint, budget: Budget) -> tuple[Task, Size]:
    """The model's configuration on these data, whose axes are in its order already.

    Raises:
        ImpossibleWish: The model is for other data, or builds on another one's masks.
        InfeasibleBudget: Its network cannot be trained in the memory there is.
    """
    _require_usable(like, fingerprint)
    shapes = spacings.resampled_shapes(fingerprint, like.spacing_mm)
    task = Task(
        name=like.name,
        dimension=like.dimension,
        spacing_mm=like.spacing_mm,
        shapes=shapes,
        median_shape=spacings.median_shape(shapes),
        channels=len(fingerprint.channels),
        heads=fingerprint.heads,
        labels=len(fingerprint.labels),
    )
    adapted = {"in_channels": task.channels, "heads": task.heads}
    network = like.network.model_copy(update=adapted)
    return task, sizing.of_network(task, network, like.training.patch_vox, budget)


def normalization(like: Configuration, planned: tuple[Normalization, ...]) -> tuple[Normalization, ...]:
    """The model's for the channels it knows by name, the planned one for others."""
    known = {item.channel.casefold(): item for item in like.normalization}  # as weights are matched
    return tuple(
        known.get(item.channel.casefold(), item).model_copy(update={"channel": item.channel}) for item in planned
    )


def gentler(training: TrainingPlan) -> tuple[TrainingPlan, Reason]:
    """The schedule with a lower learning rate."""
    rate = float(f"{RATE * training.learning_rate:.3g}")
    reason = Reason(
        rule=_GENTLER,
        saw=f"weights that were trained before; {training.learning_rate:g} from scratch",
        chose=f"learning rate {rate:g}",
        because="what was learned is to be bent, not overwritten",
        source="common practice; not measured here",
    )
    return training.model_copy(update={"learning_rate": rate}), reason


def continues(plan: Plan) -> bool:
    """Whether a plan goes on from a trained model, which may have seen the very cases that are to score it."""
    return any(reason.rule == _GENTLER for reason in plan.reasons)


def kept(reason: Reason, like: Configuration) -> Reason:
    """The reason of a rule, where its choice was not the rule's but the model's."""
    if reason.rule not in KEPT:
        return reason
    chose = {
        "spacing.target": " x ".join("as it is" if mm is None else f"{mm:.3g}" for mm in like.spacing_mm) + " mm",
        "axes.order": "each case's thickest axis first" if like.axes is None else "".join("zyx"[a] for a in like.axes),
    }
    update = {"chose": chose.get(reason.rule, reason.chose), "because": KEPT[reason.rule], "source": _SOURCE}
    return reason.model_copy(update=update)


def _require_usable(like: Configuration, fingerprint: Fingerprint) -> None:
    if like.previous_stage is not None:
        raise ImpossibleWish(f"{like.name} builds on masks of {like.previous_stage}; start from a model that does not")
    if like.dimension == 3 and fingerprint.dimension == 2:
        raise ImpossibleWish(
            f"the model's {like.name} is for volumes, but the images are single slices; start from a model of 2d"
        )
