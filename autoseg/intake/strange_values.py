"""Cases whose intensities are unlike the other cases': another histogram, inverted, offset, swapped, spoiled by spikes.

Each case is compared with all others, itself left out, by the quantiles in its ``CaseScan``.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import repeat

import numpy as np

from autoseg.contracts import CaseScan, IntensitySketch
from autoseg.intake.modality import Modality
from autoseg.volumes import likeness
from autoseg.volumes.oddness import FEWEST_OTHERS

FAR_SPIKE = 20.0
"""A value this many times further from the others than these are spread is a spike; 3 is common, in clean images."""
_NOT_BEFORE, _WRAPPED_FROM = 16384, 57344  # of 65536 grey values
_WRAPPED_SHARE, _BETWEEN = 0.01, 0.01


def find(
    scans: Sequence[CaseScan], reference: Collection[str], channels: Sequence[str], kinds: Sequence[Modality]
) -> Iterator[tuple[str, str]]:
    """Names of strange cases, and what is strange.

    Args:
        scans: All usable cases.
        reference: Names of those that say what is typical.
        channels: Names of the channels.
        kinds: What the channels show.
    """
    for scan in scans:
        for channel, sketch in zip(channels, scan.overall, strict=True):
            yield from ((scan.case, f"channel {channel}: {words}") for words in _in_itself(sketch, scan))
    known = [scan for scan in scans if scan.case in reference]
    known = known[:: max(1, -(-len(known) // likeness.MOST_COMPARED))]
    if len(known) > FEWEST_OTHERS:
        chosen = {scan.case for scan in known}
        yield from _compared(known, [scan for scan in scans if scan.case not in chosen], channels, kinds)


def _in_itself(sketch: IntensitySketch, scan: CaseScan) -> Iterator[str]:
    """What no comparison is needed for."""
    values = np.array(sketch.quantiles)
    low, high, least, largest = values[1], values[-2], values[0], values[-1]
    if least == largest and any(other.quantiles[0] != other.quantiles[-1] for other in scan.overall):
        yield f"every voxel is {least:g}"
    spike = max(largest - high, low - least)
    if high > low and spike > FAR_SPIKE * (high - low):
        far = largest if largest - high >= low - least else least
        yield f"a few voxels reach {far:.4g}, although 99 % lie from {low:.4g} to {high:.4g}; check them"
    if scan.dtype == "uint16" and _is_wrapped(values):
        top = f"{values[values < _NOT_BEFORE].max():.0f} to {values[values >= _WRAPPED_FROM].min():.0f}"
        yield f"values jump from {top}: were negative values stored without sign?"


def _is_wrapped(values: likeness.Curve) -> bool:
    """Whether 16-bit values are small or close to the largest possible one, with next to none between."""
    low, high = float(np.mean(values < _NOT_BEFORE)), float(np.mean(values >= _WRAPPED_FROM))
    return min(low, high) >= _WRAPPED_SHARE and low + high > 1 - _BETWEEN


def _compared(
    known: Sequence[CaseScan], rest: Sequence[CaseScan], channels: Sequence[str], kinds: Sequence[Modality]
) -> Iterator[tuple[str, str]]:
    """Each known case against the others, then each of the rest against all known ones."""
    columns = [[likeness.curve(scan.overall[n].quantiles) for scan in known] for n in range(len(channels))]
    calibrated = [kind == "ct" for kind in kinds]
    others = zip(*(likeness.others(c, hounsfield=hu) for c, hu in zip(columns, calibrated, strict=True)), strict=True)
    everyone = tuple(likeness.population(c, hounsfield=hu) for c, hu in zip(columns, calibrated, strict=True))
    for count, pairs in ((len(known) - 1, zip(known, others, strict=True)), (len(known), zip(rest, repeat(everyone)))):
        for scan, populations in pairs:
            curves = [likeness.curve(sketch.quantiles) for sketch in scan.overall]
            for words in _doubts(curves, populations, channels, kinds):
                yield scan.case, f"{words} (compared with {count} other cases)"


def _doubts(
    curves: Sequence[likeness.Curve],
    populations: Sequence[likeness.Population],
    channels: Sequence[str],
    kinds: Sequence[Modality],
) -> Iterator[str]:
    exchanged = None if "rgb" in kinds else likeness.swapped(curves, populations)
    if exchanged is not None:
        first, second = (channels[number] for number in exchanged)
        yield f"channels {first} and {second} look swapped: each resembles the other's images more than its own"
        return
    told = [likeness.doubt(values, known) for values, known in zip(curves, populations, strict=True)]
    if len(told) == 1 or "rgb" in kinds:  # colours change together, so the first one told stands for them
        yield from list(filter(None, told))[:1]
        return
    yield from (f"channel {channel}: {words}" for channel, words in zip(channels, told, strict=True) if words)
