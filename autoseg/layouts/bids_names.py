"""The names of BIDS files: entities such as ``sub-01`` and ``label-lesion``, and a suffix that says what is shown."""

import re
from dataclasses import dataclass

from autoseg.layouts import channel_files, names

_DERIVATIVE = re.compile(r"^derivatives/(?:(?P<pipeline>[^/]+)/)?(?=sub-)")
_FOLDERS = re.compile(
    r"^(?P<subject>sub-[A-Za-z0-9]+)/(?:(?P<session>ses-[A-Za-z0-9]+)/)?(?:(?P<datatype>[a-z]+)/)?[^/]+$"
)
_MASK_SUFFIXES = ("dseg", "mask", "msk", "seg", "roi", "lesion", "label")
_NOT_CONTRAST = ("sub", "ses", "run", "desc", "space", "res", "den")


@dataclass(frozen=True)
class BidsFile:
    """An image or mask.

    Attributes:
        file: Path relative to the data set.
        pipeline: Folder below ``derivatives/`` that it lies in; empty: a raw file.
        subject: ``sub-01``.
        visit: ``ses-02``; empty: there are no sessions.
        datatype: ``anat``, ``dwi``, ...; empty: there are no such folders.
    """

    file: str
    pipeline: str
    subject: str
    visit: str
    datatype: str

    @property
    def stem(self) -> str:
        """Its name without suffix."""
        return channel_files.stem(self.file)

    @property
    def session(self) -> tuple[str, str]:
        """Subject and visit."""
        return self.subject, self.visit

    @property
    def entities(self) -> dict[str, str]:
        """Such as ``{"sub": "01", "label": "lesion"}``."""
        return dict(part.split("-", 1) for part in self.stem.split("_")[:-1] if "-" in part)

    @property
    def suffix(self) -> str:
        """The last word: ``T1w``, ``dseg``; ``seg`` also for ``seg-manual``."""
        return self.stem.rpartition("_")[2].partition("-")[0]

    @property
    def is_mask(self) -> bool:
        """Whether its suffix is one of a mask."""
        return self.suffix in _MASK_SUFFIXES or (bool(self.pipeline) and names.is_mask_name(self.suffix))

    @property
    def contrast(self) -> str:
        """What tells it from the other images of its session: ``T1w``, ``ce-gd_T1w``."""
        kept = [f"{key}-{value}" for key, value in self.entities.items() if key not in _NOT_CONTRAST]
        return "_".join([*kept, self.suffix])

    @property
    def shows(self) -> str:
        """What a mask says it shows: its ``label-``, else its ``desc-``, else its suffix."""
        return self.entities.get("label") or self.entities.get("desc") or self.stem.rpartition("_")[2]

    @property
    def rank(self) -> int:
        """Of masks: 0 labels, 1 a named structure or lesion, 2 masks of unknown things, 3 brains."""
        if names.is_faint_mask_name(self.entities.get("desc", "")):
            return 3
        if self.suffix in ("dseg", "seg"):
            return 0
        return 1 if "label" in self.entities or self.suffix in ("lesion", "label") else 2


def parse(file: str) -> BidsFile | None:
    """Read a path; None if it is not one of BIDS.

    >>> parse("derivatives/manual/sub-01/anat/sub-01_label-lesion_mask.nii.gz").shows
    'lesion'
    """
    derivative = _DERIVATIVE.match(file)
    match = _FOLDERS.match(file[derivative.end() :] if derivative else file)
    stem = channel_files.stem(file)
    if match is None or not stem.startswith(f"{match['subject']}_") or stem.endswith("_probseg"):
        return None  # probabilities are neither
    pipeline = (derivative["pipeline"] or "derivatives") if derivative else ""
    return BidsFile(file, pipeline, match["subject"], match["session"] or "", match["datatype"] or "")
