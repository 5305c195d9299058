"""Why the incumbent decides as it does, in the words of our reports."""

from planners.contracts import Budget, Configuration, Fingerprint, Reason, Skipped
from planners.memory import usable_bytes
from planners.nnunet.decisions import MASKED_BELOW, Decisions
from planners.nnunet.translation import Part, measured
from planners.size import precision_reason, times

SOURCE = "nnU-Net 2.8.1, by observation"


def common(made: Decisions, along: Fingerprint, budget: Budget) -> tuple[Reason, ...]:
    """What holds for all configurations."""
    crop = f"cropping keeps {measured(along).relative_crop:.0%} of a typical image"
    normalization = (
        Reason(
            rule="intensity.normalization",
            saw=f"channel {channel.name!r}, {channel.modality}; {crop}",
            chose=scheme.removesuffix("Normalization") + (" of non-zero voxels" if masked else ""),
            because=f"the channel's name decides; zeros are left out where less than {MASKED_BELOW:.0%} is kept",
            source=SOURCE,
        )
        for channel, scheme, masked in zip(along.channels, made.normalization, made.masked, strict=True)
    )
    order = Reason(
        rule="axes.order",
        saw=f"target spacing {' x '.join(f'{mm:.4g}' for mm in made.grid.spacing_mm)} mm",
        chose=", ".join("zyx"[axis] for axis in made.grid.forward),
        because="the axis of the largest target spacing comes first, in all cases alike",
        source=SOURCE,
    )
    return (*normalization, precision_reason(budget), order)


def left_out(item: Skipped) -> Reason:
    """Why a configuration is not there."""
    return Reason(
        rule="configurations.skipped",
        configuration=item.configuration,
        saw="the typical image and the patch",
        chose=f"no {item.configuration}",
        because=item.because,
        source=SOURCE,
    )


def of(part: Part, configuration: Configuration, made: Decisions, budget: Budget) -> tuple[Reason, ...]:
    """Every choice of one configuration."""
    fit, task, size = part.fit, part.task, part.size
    name = task.name
    training, variant = configuration.training, made.variant
    usable = f"{usable_bytes(budget) / 1e9:.2f} GB usable here"
    spacing = " x ".join(f"{mm:.4g}" for mm in fit.spacing_mm)
    axes = "".join("zyx"[axis] for axis in made.grid.forward)
    stages = len(fit.shape.strides)
    rows = (
        (
            "spacing.target",
            f"median voxels of {' x '.join(f'{mm:.4g}' for mm in made.grid.original_spacing_mm)} mm along {axes}",
            f"{spacing} mm",
            f"coarsened {made.low.steps} times until a patch covered enough"
            if name == "3d_lowres"
            else "the median; along a thick axis of few slices, the 10th percentile",
        ),
        (
            "patch.size",
            f"typical image {times(task.patch_shape)} voxels",
            f"{times(fit.patch)} voxels",
            f"shrunk from a block of equal extent until a count of {fit.elements:.3g} elements passed for "
            f"{made.gpu_gb:g} GB; predicted {size.memory_bytes / 1e9:.2f} GB, {usable}",
        ),
        (
            "patch.batch",
            f"the same count, for {made.gpu_gb:g} GB",
            f"{fit.batch} patches per step",
            f"what the count leaves room for, at most {variant.most_of_data:.0%} of all voxels, at least 2",
        ),
        ("network.width", variant.original, f"{size.width} features, {max(size.network.features)} at most", "fixed"),
        (
            "network.topology",
            f"patch {times(fit.patch)} voxels of {spacing} mm",
            f"{stages} stages, {variant.encoder} encoder",
            "axes are halved while 8 voxels are left and they are less than twice as thick as the finest"
            + ("" if stages > 1 else "; nothing can be halved here, and such a network cannot be trained"),
        ),
        (
            "schedule.steps",
            f"{budget.folds} folds; a step is predicted to take {size.step_s:.3g} s",
            f"{training.steps} steps per fold" + (f", {training.seconds:.0f} s at most" if training.seconds else ""),
            "250 000 steps, or what the hours allow",
        ),
        ("schedule.learning_rate", "any data", "sgd, 0.01, momentum 0.99, poly decay, no averaging", "fixed"),
        ("schedule.foreground", "any data", "33% of patches hold foreground for sure", "fixed"),
        (
            "schedule.loss",
            "2d, or a cascade beside it" if training.batch_dice else "no cascade beside it",
            f"Dice, summed over {'the batch' if training.batch_dice else 'each sample'}, plus cross entropy",
            "over the batch in 2D, and at full resolution where there is a low one",
        ),
        ("augmentation.mirror", "any data", "mirroring along every axis", "fixed; labels with sides are not spared"),
        (
            "augmentation.strength",
            f"patch {times(fit.patch)}",
            f"rotation up to {', '.join(f'{angle:g}' for angle in training.augmentation.rotation_deg)} degrees",
            "fixed, but for patches that are flat or elongated",
        ),
    )
    return tuple(
        Reason(rule=rule, configuration=name, saw=saw, chose=chose, because=because, source=SOURCE)
        for rule, saw, chose, because in rows
    )
