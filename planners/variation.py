"""A variation of a configuration: which choices there are, and what each changes. Steps and cost stay as they are."""

from math import ceil, prod

from planners import axes
from planners import spacing as spacings
from planners.contracts import Augmentation, Configuration, Fingerprint, NetworkPlan, Shape, TrainingPlan, Variation

WIDTH_STEP = 4
"""Features of a stage are a multiple of it."""
FEWEST_VOXELS = 2
"""Along each axis, that a smaller patch leaves at the coarsest resolution."""
Value = float | str | None

AS_PLANNED = Variation()
CHOICES: dict[str, tuple[Value, ...]] = {
    "width": (1.0, 0.75, 1.25, 1.5),
    "spacing": (1.0, 0.8, 1.25),
    "patch": (1.0, 0.5, 2.0),
    "augmentation": (1.0, 0.5, 2.0),
    "rate": (1.0, 0.3, 3.0),
    "loss": (None, "dice_focal", "dice_topk", "tversky_ce"),
    "planner": (None, "nnunet_resenc_m"),
}
"""What is tried of each field of a variation; the first value is the plan's."""
FIRST = (
    Variation(rate=0.3),
    Variation(width=1.5),
    Variation(patch=2.0),
    Variation(augmentation=2.0),
    Variation(loss="dice_topk"),
    Variation(spacing=1.25),
    Variation(width=0.75),
    Variation(patch=0.5),
)
"""Tried before a search learns from what it tried: one thing at a time, so that the record tells what each is worth."""


def changed(configuration: Configuration, variation: Variation, fingerprint: Fingerprint) -> Configuration:
    """The configuration with other choices, whichever planner made it."""
    made = _traded(_resampled(configuration, variation.spacing, fingerprint), variation.patch)
    training = made.training
    update: dict[str, object] = {}
    if variation.rate != 1.0:
        update["learning_rate"] = float(f"{variation.rate * training.learning_rate:.3g}")
    if variation.augmentation != 1.0:
        update["augmentation"] = _augmented(training, variation.augmentation)
    if variation.loss is not None:
        update["loss"] = variation.loss
    widened = _widened(made.network, variation.width)
    return made.model_copy(update={"network": widened, "training": training.model_copy(update=update)})


def _widened(network: NetworkPlan, factor: float) -> NetworkPlan:
    if factor == 1.0:
        return network
    features = tuple(WIDTH_STEP * max(1, round(factor * count / WIDTH_STEP)) for count in network.features)
    return network.model_copy(update={"features": features})


def _resampled(configuration: Configuration, factor: float, fingerprint: Fingerprint) -> Configuration:
    """Other voxels of the same proportions, so that the network's strides suit them; no patch beyond the image."""
    if factor == 1.0:
        return configuration
    depth, height, width = configuration.spacing_mm
    z_mm = None if depth is None else float(f"{factor * depth:.6g}")
    spacing_mm = (z_mm, float(f"{factor * height:.6g}"), float(f"{factor * width:.6g}"))
    other = configuration.model_copy(update={"spacing_mm": spacing_mm})
    other = other.model_copy(update={"median_shape_vox": spacings.median_shape(resampled_shapes(other, fingerprint))})
    limits = zip(other.training.patch_vox, _padded(other), _least(other), strict=True)
    return _with_patch(other, tuple(min(edge, max(padded, least)) for edge, padded, least in limits))


def _traded(configuration: Configuration, factor: float) -> Configuration:
    """A larger patch in a smaller batch, or the other way round: as many voxels per step, as far as both are whole."""
    if factor == 1.0:
        return configuration
    training, scale = configuration.training, factor ** (1 / configuration.dimension)
    limits = zip(
        training.patch_vox, _padded(configuration), _least(configuration), _divisors(configuration), strict=True
    )
    patch = tuple(
        min(max(edge, padded), max(least, by * round(scale * edge / by))) for edge, padded, least, by in limits
    )
    changed = _with_patch(configuration, patch)
    batch = max(1, round(training.batch * prod(training.patch_vox) / prod(patch)))
    return changed.model_copy(update={"training": changed.training.model_copy(update={"batch": batch})})


def _with_patch(configuration: Configuration, patch: tuple[int, ...]) -> Configuration:
    training = configuration.training
    if patch == training.patch_vox:
        return configuration
    update = {"patch_vox": patch, "smaller_patches": ()}
    return configuration.model_copy(update={"training": training.model_copy(update=update)})


def _divisors(configuration: Configuration) -> tuple[int, ...]:
    """What the strides divide each edge of a patch by."""
    return tuple(prod(strides) for strides in zip(*configuration.network.strides, strict=True))


def _padded(configuration: Configuration) -> tuple[int, ...]:
    """Edges of the patch that holds a whole typical image."""
    sizes = configuration.median_shape_vox[3 - configuration.dimension :]
    return tuple(by * ceil(size / by) for size, by in zip(sizes, _divisors(configuration), strict=True))


def _least(configuration: Configuration) -> tuple[int, ...]:
    """Edges that leave something to see at the coarsest resolution; never more than there are."""
    pairs = zip(configuration.training.patch_vox, _divisors(configuration), strict=True)
    return tuple(min(edge, FEWEST_VOXELS * by) for edge, by in pairs)


def _augmented(training: TrainingPlan, factor: float) -> Augmentation:
    """All probabilities times a factor, at most 1; ranges, mirroring and what is done to masks stay."""
    known = training.augmentation
    names = (name for name in type(known).model_fields if name.endswith("_probability") and "mask" not in name)
    return known.model_copy(update={name: min(1.0, factor * getattr(known, name)) for name in names})


def resampled_shapes(one: Configuration, fingerprint: Fingerprint) -> tuple[Shape, ...]:
    """Each case along the configuration's axes, in its voxels."""
    return spacings.resampled_shapes(axes.reordered(fingerprint, one.axes), one.spacing_mm)
