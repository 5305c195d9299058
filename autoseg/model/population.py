"""Whether an image resembles those a model was made from. If not, it is segmented all the same, with a warning."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.contracts import ChannelPopulation, IntensitySketch, ModelCard
from autoseg.volumes import likeness
from autoseg.volumes.likeness import Population
from planners.contracts import Shape, Spacing

FAR_SPACING = 1.5
"""A voxel this many times larger or smaller than any seen in training lies far outside."""
FAR_SHAPE = 2.0
"""The same for the number of voxels along an axis, and for the field of view in millimetres."""
_MOST_SAMPLED = 1_000_000  # voxels of which quantiles are taken; far more than 50 quantiles need
_DIGITS = 6


def of_channel(sketches: Sequence[IntensitySketch], *, hounsfield: bool) -> ChannelPopulation:
    """What a model card keeps of the values of one channel: curves without names.

    Args:
        sketches: Of that channel in every training case, at least one.
        hounsfield: The values are calibrated.
    """
    known = likeness.population([likeness.curve(sketch.quantiles) for sketch in sketches], hounsfield=hounsfield)
    return ChannelPopulation(
        low=_short(known.low),
        high=_short(known.high),
        middle=_short(known.middle),
        examples=tuple(_short(example) for example in known.examples),
        limit=known.limit,
        count=known.count,
        hounsfield=hounsfield,
    )


def doubts(
    card: ModelCard, image: npt.NDArray[np.generic], spacing_mm: Spacing, *, spacing_known: bool
) -> tuple[str, ...]:
    """Reasons not to trust a mask of a canonical image (C, z, y, x); empty: none was found."""
    z, y, x = image.shape[1:]
    return (
        *_of_grid(card, (z, y, x), spacing_mm, spacing_known=spacing_known),
        *_of_values(card, image),
    )


def _of_grid(card: ModelCard, shape: Shape, spacing_mm: Spacing, *, spacing_known: bool) -> Iterator[str]:
    seen_shapes = f"{_sizes(card.shape_min)} to {_sizes(card.shape_max)}"
    if card.spacing_known and not spacing_known:
        yield "the file knows no voxel size, which the model relies on; it is taken for 1 mm, so the mask may be wrong"
    elif card.spacing_known and _is_far(spacing_mm, card.spacing_min_mm, card.spacing_max_mm, FAR_SPACING):
        seen = f"{_sizes(card.spacing_min_mm)} to {_sizes(card.spacing_max_mm)}"
        yield f"voxels of {_sizes(spacing_mm)} mm along (z, y, x) lie far outside those seen in training, {seen} mm"
    if shape[0] == 1 < card.shape_min[0]:
        yield f"a single slice, where training saw volumes of {seen_shapes} voxels"
    elif _is_far(shape, card.shape_min, card.shape_max, FAR_SHAPE):
        yield f"{_sizes(shape)} voxels along (z, y, x) lie far outside the sizes seen in training, {seen_shapes}"
    if not (card.spacing_known and spacing_known) or card.extent_min_mm is None or card.extent_max_mm is None:
        return
    extent = [count * mm for count, mm in zip(shape, spacing_mm, strict=True)]
    if _is_far(extent, card.extent_min_mm, card.extent_max_mm, FAR_SHAPE):
        seen = f"{_sizes(card.extent_min_mm)} to {_sizes(card.extent_max_mm)}"
        yield f"a field of view of {_sizes(extent)} mm lies far outside those seen in training, {seen} mm"


def _of_values(card: ModelCard, image: npt.NDArray[np.generic]) -> Iterator[str]:
    flat = [number for number, channel in enumerate(image) if channel.min() == channel.max()]
    if flat:
        which = ", ".join(map(str, flat))
        yield f"no signal: every voxel of channel {which} has the same value; do not trust the mask"
    if flat or len(card.intensities) != len(image):
        return
    known = [_population(channel) for channel in card.intensities]
    curves = [_curve(channel) for channel in image]
    colours = card.modalities == ("colour",) * len(card.modalities)
    exchanged = None if colours else likeness.swapped(curves, known)
    if exchanged is not None:
        first, second = exchanged
        yield f"channels {first} and {second} look swapped: each resembles the other in training more than its own"
        return
    told = (likeness.doubt(values, population) for values, population in zip(curves, known, strict=True))
    doubted = [(number, words) for number, words in enumerate(told) if words]
    yield from (f"channel {number}: {words}" for number, words in (doubted[:1] if colours else doubted))


def _curve(channel: npt.NDArray[np.generic]) -> likeness.Curve:
    values = channel.reshape(-1)[:: -(-channel.size // _MOST_SAMPLED)]
    return likeness.curve(np.sort(values.astype(np.float64)))


def _population(channel: ChannelPopulation) -> Population:
    return Population(
        low=np.array(channel.low),
        high=np.array(channel.high),
        middle=np.array(channel.middle),
        examples=np.array(channel.examples),
        limit=channel.limit,
        count=channel.count,
        hounsfield=channel.hounsfield,
    )


def _short(values: likeness.Curve) -> tuple[float, ...]:
    """Few digits: they do not tell more, and the card stays readable."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)


def _is_far(value: Sequence[float], low: Sequence[float], high: Sequence[float], factor: float) -> bool:
    return any(v < a / factor or v > b * factor for v, a, b in zip(value, low, high, strict=True))


def _sizes(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
