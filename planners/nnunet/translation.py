"""The incumbent's terms and ours: what it would have measured of our data, and its decisions as our tasks and sizes."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from planners import cascade, cost
from planners import spacing as spacings
from planners.contracts import (
    Budget,
    ChannelFingerprint,
    ConfigurationName,
    Fingerprint,
    NetworkPlan,
    Skipped,
    Wishes,
)
from planners.errors import ImpossibleWish
from planners.memory import training_bytes
from planners.nnunet.configuration import Fit
from planners.nnunet.decisions import SCHEMES, Decisions, Measured
from planners.nnunet.spacing import Vector
from planners.nnunet.variants import Variant
from planners.size import Size, Task

PLANE_APART_MM = 999.0  # the incumbent's distance between the "slices" of single pictures


@dataclass(frozen=True)
class Part:
    """One configuration: what was decided, what it has to solve, and what it costs here."""

    fit: Fit
    task: Task
    size: Size


def measured(fingerprint: Fingerprint) -> Measured:
    """What the incumbent would have measured on the same data."""
    flat = fingerprint.dimension == 2
    kept = [prod(case.cropped_shape) / prod(case.shape) for case in fingerprint.cases]
    return Measured(
        spacings=np.array(
            [(PLANE_APART_MM, *case.spacing_mm[1:]) if flat else case.spacing_mm for case in fingerprint.cases]
        ),
        shapes=np.array([case.cropped_shape for case in fingerprint.cases]),
        cases=len(fingerprint.cases),
        label_entries=len(fingerprint.labels) + 1 + fingerprint.has_ignore,
        channels=tuple(_channel_name(channel) for channel in fingerprint.channels),
        relative_crop=float(np.median(kept)),
    )


def wanted(fingerprint: Fingerprint, wishes: Wishes) -> Vector | None:
    """The spacing asked for, in the incumbent's terms; None: none was."""
    if wishes.spacing_mm is None or fingerprint.dimension == 3:
        return wishes.spacing_mm
    return (PLANE_APART_MM, *wishes.spacing_mm[1:])


def _channel_name(channel: ChannelFingerprint) -> str:
    """The name that decides: the incumbent must be told, by name, that a channel is CT; we see it in the values."""
    if channel.name.casefold() in SCHEMES:
        return channel.name
    return "CT" if channel.modality == "ct" else channel.name


def parts(made: Decisions, along: Fingerprint, budget: Budget) -> tuple[Part, ...]:
    """The configurations, main one first; ``along`` is the fingerprint along the working axes."""
    found = {name: _part(name, fit, made, along, budget) for name, fit in _fits(made)}
    second = found.get(cascade.SECOND)
    if second is not None:  # it runs after its first stage
        first_s = found[cascade.FIRST].size.case_inference_s
        size = replace(second.size, case_inference_s=second.size.case_inference_s + first_s)
        found[cascade.SECOND] = replace(second, size=size)
    return tuple(found.values())


def asked(found: tuple[Part, ...], names: tuple[ConfigurationName, ...] | None) -> tuple[Part, ...]:
    """Those of the configurations that somebody asked for; None: all.

    Raises:
        ImpossibleWish: nnU-Net has no such configuration for these data, or its first stage was not asked for.
    """
    if names is None:
        return found
    there = [part.task.name for part in found]
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise ImpossibleWish(f"nnU-Net plans {', '.join(there)} for these data, not {', '.join(missing) or 'nothing'}")
    if cascade.SECOND in names and cascade.FIRST not in names:
        raise ImpossibleWish(f"{cascade.SECOND} builds on {cascade.FIRST}; ask for both")
    return tuple(part for part in found if part.task.name in names)


def skipped(made: Decisions, kept: tuple[Part, ...]) -> tuple[Skipped, ...]:
    """What was left out, and why: by nnU-Net, or because nobody asked for it."""
    there = {part.task.name for part in kept}
    unasked = tuple(
        Skipped(configuration=name, because="it was not asked for") for name, _ in _fits(made) if name not in there
    )
    return unasked + _never_planned(made)


def _never_planned(made: Decisions) -> tuple[Skipped, ...]:
    if made.volume is None:
        because = "the images are single slices: there is no depth to see"
        return tuple(
            Skipped(configuration=name, because=because) for name in ("3d_fullres", "3d_lowres", "3d_cascade_fullres")
        )
    if made.low.kept:
        return ()
    because = (
        "a patch of 3d_fullres covers a quarter of the typical image or more"
        if made.low.found is None
        else "a grid coarse enough would have more than half of the voxels of the fine one"
    )
    return tuple(Skipped(configuration=name, because=because) for name in ("3d_lowres", "3d_cascade_fullres"))


def _fits(made: Decisions) -> list[tuple[ConfigurationName, Fit]]:
    """Main configuration first."""
    fits: list[tuple[ConfigurationName, Fit]] = [("2d", made.flat)]
    if made.low.kept and made.low.found and made.volume:
        fits = [("3d_lowres", made.low.found), *fits, ("3d_cascade_fullres", made.volume)]
    if made.volume:
        fits.insert(0, ("3d_fullres", made.volume))
    return fits


def _part(name: ConfigurationName, fit: Fit, made: Decisions, along: Fingerprint, budget: Budget) -> Part:
    planar = name == "2d"
    y_mm, x_mm = fit.spacing_mm[-2:]
    target = (None if planar else fit.spacing_mm[0], y_mm, x_mm)
    shapes = spacings.resampled_shapes(along, target)
    task = Task(
        name=name,
        dimension=2 if planar else 3,
        spacing_mm=target,
        shapes=shapes,
        median_shape=spacings.median_shape(shapes),
        channels=len(along.channels) + (len(along.labels) if name == "3d_cascade_fullres" else 0),
        heads=along.heads,
        labels=len(along.labels),
    )
    network = _network(fit, task, made.variant)
    size = Size(
        patch=fit.patch,
        network=network,
        batch=fit.batch,
        memory_bytes=training_bytes(network, fit.patch, fit.batch, budget.precision, optimizer="sgd", kind=task.kind),
        step_s=cost.step_s(network, fit.patch, fit.batch, budget),
        case_inference_s=cost.case_inference_s(network, fit.patch, shapes, budget),
    )
    return Part(fit, task, size)


def _network(fit: Fit, task: Task, variant: Variant) -> NetworkPlan:
    stages = len(fit.shape.strides)
    return NetworkPlan(
        family="plain_unet" if variant.encoder == "plain" else "residual_unet",
        dimension=task.dimension,
        in_channels=task.channels,
        heads=task.heads,
        features=variant.features(stages, task.dimension),
        strides=fit.shape.strides,
        kernels=fit.shape.kernels,
        convolutions_encoder=variant.encoder_units(stages),
        convolutions_decoder=(variant.decoder_convolutions,) * (stages - 1),
        deep_supervision=stages >= 3,  # with two, the incumbent divides by zero here
    )
