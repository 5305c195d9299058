"""autoseg: from a folder of medical images and masks to a validated, deployable segmentation model.

>>> import autoseg
>>> sorted(autoseg.__all__)[:3]
['AutosegError', 'Report', 'Settings']
"""

from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.contracts import Report, Settings
from autoseg.errors import AutosegError
from autoseg.events import Notify, silent
from planners.contracts import Preset

if TYPE_CHECKING:
    from autoseg.model import SegmentationModel

__all__ = ["AutosegError", "Report", "Settings", "load", "run"]


def run(
    source: Path | str,
    out: Path | str,
    *,
    hours: float | None = None,
    preset: Preset = "standard",
    holdout: float = 0.0,
    seed: int = 0,
    device: str = "auto",
    notify: Notify = silent,
) -> Report:
    """Take a raw dataset folder through the whole row; the same call resumes an interrupted run.

    Args:
        source: Folder with images and masks, in any layout that ``autoseg inspect`` understands.
        out: Run folder, outside ``source``.
        hours: Upper bound on wall-clock hours; None lets the preset decide.
        preset: What to buy: one configuration, the standard, or all.
        holdout: Share of subjects set apart for one final score.
        seed: Of the split, the networks, the sampling and the search.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        notify: Called with every progress event.

    Returns:
        The record of the report; the page is ``out / report.page`` and the model ``out / "model"``.

    Raises:
        AutosegError: With what is wrong, where, and what to do about it.
    """
    from autoseg import pipeline

    settings = Settings(hours=hours, preset=preset, holdout=holdout, seed=seed, device=device)
    return pipeline.run(Path(source), Path(out), settings, notify=notify)


def load(model: Path | str, *, device: str = "auto") -> "SegmentationModel":
    """Load a deployable model folder and check it against its golden sample.

    Raises:
        RefusedError: The folder was tampered with or gives other results than when it was made.
    """
    from autoseg.model import load as load_model

    return load_model(Path(model), device=device)
