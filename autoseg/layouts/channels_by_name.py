"""Images to predict whose channels are told by name, in one folder or in a folder per case.

    new/  patient31/  FLAIR.nii.gz  T1.nii.gz  T2.nii.gz        a model of the channels FLAIR, T1 and T2
    new/  BraTS_007_flair.nii.gz  BraTS_007_t1.nii.gz  ...      the same, with the case's name before the channel's
    new/  s0001/ct.nii.gz   s0002/ct.nii.gz                     a model of one channel: every image that is no mask

Files that are called masks are passed over: folders like the ones that a model was trained on can be given as they are.
"""

import re
from collections.abc import Iterable, Sequence

from autoseg.contracts import Case
from autoseg.layouts import channel_files, names
from autoseg.layouts.tree import Tree


def cases_by_channel(tree: Tree, channels: Sequence[str]) -> tuple[Case, ...]:
    """Cases at any depth; none, if nowhere there is a file for each channel.

    A case that lacks a channel is listed with those it has: predicting it fails, and no other.

    Args:
        tree: A folder.
        channels: Names of the model's channels, in order.
    """
    images = [file for file in tree.images if not _is_mask(file)]
    if len(channels) == 1:
        return tuple(_case(_words(file), (file,)) for file in images)
    grouped: dict[tuple[str, ...], dict[int, str]] = {}
    for file in images:
        for number, rest in _channels_of(file, channels):
            grouped.setdefault(rest, {}).setdefault(number, file)
    if not any(len(found) == len(channels) for found in grouped.values()):
        return ()
    ordered = {words: tuple(found[number] for number in sorted(found)) for words, found in sorted(grouped.items())}
    return tuple(_case(words or (tree.root.resolve().name,), files) for words, files in ordered.items())


def _channels_of(file: str, channels: Sequence[str]) -> Iterable[tuple[int, tuple[str, ...]]]:
    """The channel whose name the file's name ends on, if any, and the words of the case: folders, rest of the name."""
    *folders, stem = _words(file)
    by_length = sorted(range(len(channels)), key=lambda number: -len(channels[number]))
    for number in by_length:  # "T1POST" before "T1"
        match = re.fullmatch(rf"(?:(?P<case>.*)[-_. ])?{re.escape(channels[number])}", stem, re.IGNORECASE)
        if match:
            case = match["case"] or ""
            return [(number, tuple(filter(None, (*folders, "" if case in folders else case))))]
    return []


def _words(file: str) -> tuple[str, ...]:
    """The folders of a file and its name without suffix."""
    *folders, last = file.split("/")
    return (*folders, channel_files.stem(last))


def _is_mask(file: str) -> bool:
    return any(names.is_mask_name(word) for word in _words(file))


def _case(words: Sequence[str], files: tuple[str, ...]) -> Case:
    name = "_".join(words)
    return Case(case=name, subject=name, images=files)
