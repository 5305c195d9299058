"""What tells cases apart beyond their labels, so that every fold gets its share of each kind."""

from autoseg.contracts import CaseScan


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
