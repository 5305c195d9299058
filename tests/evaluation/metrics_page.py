"""The page of metrics: every entry of the table. ``python -m tests.evaluation.metrics_page`` writes it."""

from pathlib import Path

from autoseg.evaluation.scoring import CONVENTION
from autoseg.volumes.metrics import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
HEAD = f"""# Metrics

Every score of autoseg, in cross-validation, selection, hold-out and `autoseg evaluate`, is one of these, by these names
in JSON and CSV. Written by `python -m tests.evaluation.metrics_page`; do not edit.

{CONVENTION}

Distances are between centres of surface voxels, mask voxels with a face neighbour outside the mask, in mm. The
tolerance of NSD is twice the median in-plane spacing unless one is given. Components touch through faces, edges or
corners. Definitions are MONAI's where it has one; `tests/volumes/test_metrics_monai.py` compares them within 1e-6 and
shows where they differ. The expected calibration error of probabilities is `autoseg.volumes.calibration`.

| name | definition | unit | better | from | undefined (null), beyond absent from both |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The text of ``docs/metrics.md``."""
    rows = (
        (f"`{name}`", metric.what, metric.unit, metric.better, metric.needs, metric.undefined)
        for name, metric in METRICS.items()
    )
    return HEAD + "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
