"""What tells cases apart beyond their labels, so that every fold gets its share of each kind."""

from autoseg.contracts import CaseScan


def of_case(scan: CaseScan) -> frozenset[str]:
    """Names of what is particular about a case, in words for the report."""
    traits = {"grey pictures"} if _is_grey(scan) else {f"{len(scan.overall)} channels"}
    traits |= {
        f"an empty channel {number}"
        for number, sketch in enumerate(scan.overall)
        if sketch.quantiles[0] == sketch.quantiles[-1]
    }
    return frozenset(traits | ({"single slices"} if scan.shape[0] == 1 else set()))


def _is_grey(scan: CaseScan) -> bool:
    """A picture in which red, green and blue are the same."""
    return len(scan.overall) == 3 and scan.overall[0] == scan.overall[1] == scan.overall[2]
