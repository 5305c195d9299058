"""One image series, addressed by any of its files, to a ``Volume``."""

from pathlib import Path

from autoseg.errors import UnreadableFile
from autoseg.formats.dicom import headers, pixels
from autoseg.formats.dicom.stacks import stack
from autoseg.formats.volume import Volume, channel_names


def read(path: Path) -> Volume:
    """Read all slices of the series that a file belongs to, in their order in the patient.

    Raises:
        UnreadableFile: A file is damaged, holds no image, or is compressed in a way that cannot be undone here.
        DataError: Slices are missing, or different ones lie at one place.
        GeometryError: The slices do not make a grid.
        RefusedError: Absurd size.
    """
    with headers.guarded(path):
        kind = headers.modality(path)
        if kind in headers.STRUCTURES:
            raise UnreadableFile(path, f"holds structures ({kind}), no image", "give the image series it was drawn on")
        members = stack(path)
        array, digest, notes = pixels.volume(members.frames)
    return Volume(
        array=array,
        grid=members.grid,
        spacing_known=members.spacing_known,
        sha256=digest,
        channels=("R", "G", "B") if len(array) == 3 else channel_names(len(array)),
        notes=(*members.notes, *notes),
        uids=tuple(frame.uid for frame in members.frames),
    )


def files(path: Path) -> tuple[Path, ...]:
    """The files that ``read`` would take pixels from.

    Raises:
        DataError: As ``read``.
    """
    with headers.guarded(path):
        return tuple(dict.fromkeys(frame.file for frame in stack(path).frames))
