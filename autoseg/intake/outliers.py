"""Cases unlike the others: pointed out with the numbers, and never removed, as odd cases may be the ones that matter.

Everything is computed from the ``CaseScan`` of each case; no file is opened. What is typical, only the *reference*
cases say (those that may train), so that nothing in a held-out file changes what is said of another.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from math import exp, log
from statistics import median

import numpy as np

from autoseg.contracts import CaseScan
from autoseg.intake import modality, strange_values
from autoseg.intake.auditing import Finding
from autoseg.volumes.oddness import FEWEST_OTHERS, Odd, apart
from planners.contracts import Outlier

SPACING_FACTOR = 1.5
"""A voxel this many times larger or smaller than usual is worth a remark; the same for the field of view."""
VOLUME_FACTOR = 3.0
"""The same for the volume of a label."""
_HU_MARGIN = 250.0
_AXES = tuple(enumerate("zyx"))
_PLACEHOLDER = (1.0, 1.0, 1.0)
_UNITS = {1000.0: "micrometres", 10.0: "tenths of a millimetre", 0.1: "centimetres", 0.001: "metres"}


def find(scans: Sequence[CaseScan], reference: Collection[str], channels: Sequence[str]) -> dict[str, list[Finding]]:
    """Remarks on each case that is unlike the reference cases.

    Args:
        scans: All usable cases.
        reference: Names of those that say what is typical.
        channels: Names of the channels.
    """
    typical = [scan for scan in scans if scan.case in reference]
    kinds = modality.of_channels(channels, typical)
    odd_voxels = _odd_voxels(scans, reference)  # their sizes in mm are odd for that reason, and not told again
    remarks = defaultdict[str, list[Finding]](list)
    for case, words in chain(
        _spacings(scans, reference, odd_voxels),
        _orientations(scans, typical),
        _told(_extents(scans), reference, SPACING_FACTOR, odd_voxels),
        _told(_volumes(scans), reference, VOLUME_FACTOR, odd_voxels),
        strange_values.find(scans, reference, channels, kinds),
    ):
        remarks[case].append(Finding(words, kind="outlier"))
    return remarks


def measured(scans: Sequence[CaseScan], channels: Sequence[str]) -> tuple[Outlier, ...]:
    """Single numbers that stand apart, for the fingerprint: all given cases are compared with each other."""
    everyone = {scan.case for scan in scans}
    factors = (
        (_spacing_axes(scans), SPACING_FACTOR),
        (_extents(scans), SPACING_FACTOR),
        (_volumes(scans), VOLUME_FACTOR),
    )
    found = [
        Outlier(case=case, what=what, value=odd.value, typical=odd.typical)
        for quantities, factor in factors
        for what, values in quantities.items()
        for case, odd in _apart_by_factor(values, everyone, factor).items()
    ]
    for number, kind in enumerate(modality.of_channels(channels, scans)):
        if kind == "ct":  # the only unit that means the same in every file
            means = {scan.case: scan.overall[number].mean for scan in scans}
            found += [
                Outlier(case=case, what=f"mean of {channels[number]} (HU)", value=odd.value, typical=odd.typical)
                for case, odd in apart(means, everyone, _HU_MARGIN).items()
            ]
    return tuple(found)


# ------------------------------------------------------------------------------------------------------ quantities


def _spacing_axes(scans: Sequence[CaseScan]) -> dict[str, dict[str, float]]:
    known = [scan for scan in scans if scan.spacing_known]
    return {f"spacing along {letter} (mm)": {s.case: s.spacing_mm[axis] for s in known} for axis, letter in _AXES}


def _extents(scans: Sequence[CaseScan]) -> dict[str, dict[str, float]]:
    unit = "mm" if all(scan.spacing_known for scan in scans) else "pixels"
    return {
        f"extent along {letter} ({unit})": {
            s.case: s.shape[axis] * (s.spacing_mm[axis] if unit == "mm" else 1.0) for s in scans
        }
        for axis, letter in _AXES
    }


def _volumes(scans: Sequence[CaseScan]) -> dict[str, dict[str, float]]:
    """Of each label, in the cases that show it."""
    unit = "mm3" if all(scan.spacing_known for scan in scans) else "voxels"
    volumes: dict[str, dict[str, float]] = {}
    for scan in scans:
        voxel = float(np.prod(scan.spacing_mm)) if unit == "mm3" else 1.0
        for target in scan.targets:
            if target.voxels:
                volumes.setdefault(f"volume of {target.name} ({unit})", {})[scan.case] = target.voxels * voxel
    return volumes


# --------------------------------------------------------------------------------------------------------- remarks


def _apart_by_factor(values: Mapping[str, float], reference: Collection[str], factor: float) -> dict[str, Odd]:
    """What stands apart on a logarithmic scale, as sizes do."""
    found = apart({case: log(value) for case, value in values.items() if value > 0}, reference, log(factor))
    return {case: Odd(values[case], tuple(exp(other) for other in odd.others)) for case, odd in found.items()}


def _told(
    quantities: dict[str, dict[str, float]], reference: Collection[str], factor: float, left_out: Collection[str]
) -> Iterator[tuple[str, str]]:
    for what, values in quantities.items():
        for case, odd in _apart_by_factor(values, reference, factor).items():
            if case not in left_out:
                low, high = odd.others[0], odd.others[-1]
                yield case, f"{what} is {odd.value:.4g}; the other {len(odd.others)} cases have {low:.4g} to {high:.4g}"


def _odd_voxels(scans: Sequence[CaseScan], reference: Collection[str]) -> dict[str, list[str]]:
    """Cases with voxels of another size than usual, and along which axes."""
    odd = defaultdict[str, list[str]](list)
    for what, values in _spacing_axes(scans).items():
        for case in _apart_by_factor(values, reference, SPACING_FACTOR):
            odd[case].append(what.split()[2])
    known = [scan for scan in scans if scan.spacing_known and scan.case in reference]
    placeholders = [scan.case for scan in known if scan.spacing_mm == _PLACEHOLDER]
    if len(known) - len(placeholders) >= max(FEWEST_OTHERS, 2 * len(placeholders)):
        odd |= {case: list("zyx") for case in placeholders}
    return odd


def _spacings(
    scans: Sequence[CaseScan], reference: Collection[str], odd: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    known = [scan for scan in scans if scan.spacing_known and scan.case in reference and scan.case not in odd]
    if len(known) < FEWEST_OTHERS:
        return
    usual = tuple(median(axis) for axis in zip(*(scan.spacing_mm for scan in known), strict=True))
    for scan in scans:
        if scan.case in odd:
            words = f"spacing {_sizes(scan.spacing_mm)} mm along (z, y, x); the other {len(known)} cases have "
            yield scan.case, words + _sizes(usual) + _suspicion(scan.spacing_mm, usual, odd[scan.case])
        elif not scan.spacing_known:
            yield scan.case, f"the file knows no voxel size; the other {len(known)} cases have {_sizes(usual)} mm"


def _suspicion(spacing: Sequence[float], usual: Sequence[float], odd_axes: Sequence[str]) -> str:
    if tuple(spacing) == _PLACEHOLDER:
        return "; it looks like a placeholder, so correct the header if the true size is known"
    ratios = [own / other for own, other in zip(spacing, usual, strict=True)]
    for factor, unit in _UNITS.items():
        if all(abs(log(ratio / factor)) < log(SPACING_FACTOR) for ratio in ratios):
            return f"; it looks like {unit} taken for millimetres, so correct the header"
    return "" if len(odd_axes) == 3 else f"; only {' and '.join(odd_axes)} differ{'s' if len(odd_axes) == 1 else ''}"


def _orientations(scans: Sequence[CaseScan], typical: Sequence[CaseScan]) -> Iterator[tuple[str, str]]:
    """The one case that is stored another way round. It is turned like all, but its header may be the wrong one."""
    counted = Counter(scan.orientation for scan in typical)
    if len(counted) > 2 or not counted:
        return
    usual, count = counted.most_common(1)[0]
    for scan in scans:
        if scan.orientation != usual and count >= FEWEST_OTHERS and count >= len(typical) - 1:
            yield scan.case, f"orientation {scan.orientation}; the other {count} cases have {usual}"


def _sizes(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
