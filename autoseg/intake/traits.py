"""What tells cases apart beyond their labels, so that every fold gets its share of each kind."""

from collections.abc import Iterable

from autoseg.contracts import Case, CaseScan
from autoseg.folds import Candidate


def candidates(cases: Iterable[Case], scans: Iterable[CaseScan]) -> tuple[Candidate, ...]:
    """What the split must know of the labelled cases among ``cases``, in any order."""
    measured = {scan.case: scan for scan in scans}
    return tuple(
        Candidate(
            case.case,
            case.subject,
            tuple(target.voxels for target in measured[case.case].targets),
            of_case(measured[case.case]),
        )
        for case in cases
        if case.labelled
    )


def of_case(scan: CaseScan) -> frozenset[str]:
    """Names of what is particular about a case, in words for the report."""
    traits = {
        f"empty channel {number}"
        for number, sketch in enumerate(scan.overall)
        if sketch.quantiles[0] == sketch.quantiles[-1]
    }
    if scan.shape[0] == 1 and len(scan.overall) == 3:
        traits.add("grey pictures" if scan.overall[0] == scan.overall[1] == scan.overall[2] else "colour pictures")
    elif scan.shape[0] == 1:
        traits.add("single slices")
    return frozenset(traits)
