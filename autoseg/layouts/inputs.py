"""Images to predict: a file, a flat folder of files with or without channel numbers, case folders, or DICOM series."""

from collections.abc import Sequence
from pathlib import Path

from autoseg import formats
from autoseg.contracts import Case
from autoseg.errors import LayoutError, UsageError
from autoseg.layouts import channel_files, dicom, names
from autoseg.layouts.channels_by_name import cases_by_channel
from autoseg.layouts.tree import collapse, describe, look


def find_inputs(path: Path, channels: Sequence[str], exclude: Path | None = None) -> tuple[Case, ...]:
    """List what is to be predicted.

    Files ``X_0000``, ``X_0001``, ... are one case X if every file is numbered so and no case has more of them than the
    model has channels; otherwise each file is a case. A case with too few files is listed too: predicting it fails, the
    others do not. Where no image lies in the folder itself, or files are called after the model's channels, cases are
    put together by name, at any depth (``channels_by_name``). DICOM series may lie at any depth; each is a case.

    Args:
        path: A file, also one of a DICOM series; or a folder; its subfolders count where it holds no images itself.
        channels: Names of the model's channels, in order.
        exclude: A folder that does not count although it may lie inside, e.g. that of the masks.

    Returns:
        Cases sorted by name; paths relative to the folder, or to the folder that the file lies in.

    Raises:
        UsageError: ``path`` does not exist, or is a file of an unknown format.
        LayoutError: The folder holds no images.
    """
    if path.is_file():
        if formats.is_dicom(path):
            return dicom.series_of(path)
        if not formats.is_image(path):
            raise UsageError(
                f"{path}: not an image format that can be read; expected e.g. .nii.gz, .nrrd, .mha, .png or DICOM"
            )
        return _cases({channel_files.stem(path.name): path.name}, len(channels))
    if not path.is_dir():
        raise UsageError(f"{path}: does not exist; expected an image or a folder of images")
    tree = look(path, exclude)
    files = channel_files.named(tree.images_in("."))
    by_name = cases_by_channel(tree, channels) if not files or len(channels) > 1 else ()
    if by_name:
        used = {image for case in by_name for image in case.images}
        rest = {name: file for name, file in files.items() if file not in used and not names.is_mask_name(name)}
        return (*by_name, *_cases(rest, len(channels))) if rest else by_name  # what fits no case fails, and is told
    if not files:
        if series := dicom.series_to_predict(tree, channels):
            return series
        raise LayoutError(
            f"{path}: no images in this folder, and no subfolder with a file for each of the model's channels "
            f"({', '.join(channels)}); found: {describe(tree)}"
        )
    return _cases(files, len(channels))


def unused_inputs(path: Path, cases: Sequence[Case], exclude: Path | None = None) -> dict[str, str]:
    """Images of a folder that are not predicted, with the reason for each; folders that are not used are one entry.

    Args:
        path: As given to ``find_inputs``; a file has nothing beside it that could be meant.
        cases: What was found there.
        exclude: As given to ``find_inputs``.
    """
    if path.is_file():
        return {}
    tree = look(path, exclude)
    used = {image for case in cases for image in case.images}
    return collapse({file: _why_unused(file) for file in tree.images if file not in used}, tree)


def _why_unused(file: str) -> str:
    *folders, _ = file.split("/")
    if any(names.is_mask_name(word) for word in (*folders, channel_files.stem(file))):
        return "called a mask, so not taken for an image; give it another name to have it segmented"
    if folders:
        return "in a subfolder, and the other images are not laid out so; give that folder as input"
    return "fits no channel of the model by its name"


def _cases(files: dict[str, str], channels: int) -> tuple[Case, ...]:
    grouped = channel_files.group(files)
    if not channel_files.numbered(files) or max(len(members) for members in grouped.values()) > channels:
        grouped = channel_files.single(files)
    return tuple(Case(case=name, subject=name, images=members) for name, members in grouped.items())
