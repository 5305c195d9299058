"""Channels that may have changed places in a case: its channel 0 looks like channel 1 of the other cases, and so on.

A channel's *profile* is the shape of its histogram (quantiles, freed of offset and scale, which differ between
scanners) and how much brighter its foreground is. Only told, never changed: whoever looks at the image knows at once.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from autoseg.contracts import CaseScan
from autoseg.intake.examination import Examined
from autoseg.intake.findings import Finding

_ENOUGH_CASES = 4
_MUCH_BETTER = 0.5  # exchanged, the profiles must fit at least twice as well

Profile = npt.NDArray[np.float64]


def flag_swapped(items: Sequence[Examined], channels: Sequence[str]) -> list[Examined]:
    """Add a remark to each case in which two channels look exchanged."""
    usable = [item for item in items if item.scan is not None]
    if len(channels) < 2 or len(usable) < _ENOUGH_CASES or tuple(channels) == ("R", "G", "B"):
        return list(items)
    profiles = np.stack([_profiles(item.scan) for item in usable if item.scan is not None])  # (case, channel, value)
    typical = np.median(profiles, axis=0)
    fits = np.abs(profiles[:, :, None] - typical[None, None]).mean(axis=3)  # (case, channel, typical channel)
    flagged = {item.case.case: _swapped(fit) for item, fit in zip(usable, fits, strict=True)}
    return [_told(item, flagged.get(item.case.case), channels) for item in items]


def _swapped(fit: Profile) -> tuple[int, int] | None:
    """The two channels that fit each other's place best, if much better than their own."""
    count = len(fit)
    ratios = {
        (i, j): (fit[i, j] + fit[j, i]) / max(fit[i, i] + fit[j, j], 1e-12)
        for i in range(count)
        for j in range(i + 1, count)
    }
    best = min(ratios, key=lambda pair: ratios[pair])
    return best if ratios[best] < _MUCH_BETTER else None


def _profiles(scan: CaseScan) -> Profile:
    """(channel, value)."""
    found = []
    for overall, inside in zip(scan.overall, scan.foreground, strict=True):
        scale = overall.std or 1.0
        shape = (np.array(overall.quantiles[1:-1]) - overall.mean) / scale
        contrast = 0.0 if inside is None else (inside.mean - overall.mean) / scale
        found.append(np.append(shape, np.full(len(shape), contrast)))  # both count alike
    return np.stack(found)


def _told(item: Examined, pair: tuple[int, int] | None, channels: Sequence[str]) -> Examined:
    if pair is None:
        return item
    first, second = pair
    finding = Finding(
        f"channel {first} ({channels[first]}) looks like channel {second} ({channels[second]}) of the other cases, and "
        "the other way round: are they swapped?"
    )
    return replace(item, findings=(*item.findings, finding))
