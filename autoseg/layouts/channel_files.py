"""One file per channel, in the naming that nnU-Net made common: ``X_0000.nii.gz`` and ``X_0001.nii.gz`` are case X."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from autoseg import formats

_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_SEPARATOR = re.compile(r"[_\-. ]")


@lru_cache(maxsize=2**18)
def stem(file: str) -> str:
    """File name without folder and suffix, in composed Unicode (so that names from macOS and Linux meet).

    >>> stem("imagesTr/liver_01.nii.gz")
    'liver_01'
    """
    return unicodedata.normalize("NFC", formats.stem(Path(file.rpartition("/")[2])))


def named(files: Iterable[str], folder: str = "") -> dict[str, str]:
    """Files by name; subfolders of ``folder`` become part of it. The first of two files with one name counts,
    and a plain picture only where there is nothing else.

    >>> named(["images/a/1.png", "images/b/1.png"], "images")
    {'a_1': 'images/a/1.png', 'b_1': 'images/b/1.png'}
    """
    by_name: dict[str, str] = {}
    for file in sorted(files, key=lambda file: (is_picture(file), file)):
        parts = file.removeprefix(f"{folder}/").split("/") if folder else [file]
        by_name.setdefault("_".join((*parts[:-1], stem(file))), file)
    return by_name


def is_picture(file: str) -> bool:
    """Whether a file is a plain picture rather than of a medical format, by its suffix."""
    return formats.suffix(Path(file)) in _PICTURES


def split(name: str) -> tuple[str, int | None]:
    """Case and channel of a name; no channel if the name has none.

    >>> split("liver_01_0001"), split("liver_01")
    (('liver_01', 1), ('liver_01', None))
    """
    match = _CHANNEL.match(name)
    return (match["case"], int(match["channel"])) if match else (name, None)


def group(files: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Named files by case, each case's channels in order; names without a channel number are cases of one file.

    A file whose number is none of those of the cases with as many files is not the channel that its place in the order
    would make it; it is left out, so that its case lacks one.

    >>> group({"a_0001": "a_0001.png", "a_0000": "a_0000.png", "b": "b.png"})
    {'a': ('a_0000.png', 'a_0001.png'), 'b': ('b.png',)}
    >>> group({f"{name}.png": f"{name}.png" for name in ("a", "b")})
    {'a.png': ('a.png',), 'b.png': ('b.png',)}
    >>> group({name: name for name in ("a_0000", "a_0001", "b_0000", "b_0001", "c_0000", "c_0002")})
    {'a': ('a_0000', 'a_0001'), 'b': ('b_0000', 'b_0001'), 'c': ('c_0000',)}
    """
    cases: dict[str, list[tuple[int, str]]] = {}
    for name, file in files.items():
        case, channel = split(name)
        cases.setdefault(case, []).append((channel or 0, file))
    usual: dict[int, frozenset[int]] = {}
    if numbered(files):
        counted = Counter(frozenset(channel for channel, _ in members) for members in cases.values())
        usual = {len(channels): channels for channels, _ in reversed(counted.most_common())}
    return {case: tuple(file for _, file in _among(usual, sorted(members))) for case, members in sorted(cases.items())}


def _among(usual: Mapping[int, frozenset[int]], members: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those with a channel that is usual where there are so many."""
    channels = usual.get(len(members))
    return members if channels is None else [member for member in members if member[0] in channels]


def single(files: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Named files as cases of one file each."""
    return {name: (file,) for name, file in sorted(files.items())}


def numbered(names: Iterable[str]) -> bool:
    """Whether every name carries a channel number, and every case has the first channel."""
    parts = [split(name) for name in names]
    firsts = {case for case, channel in parts if channel == 0}
    return bool(parts) and all(channel is not None and case in firsts for case, channel in parts)


def by_last_word(files: Mapping[str, str], cases: Iterable[str]) -> dict[str, dict[str, str]]:
    """Named files by case, and by the word that follows the case's name; files of no case are left out.

    >>> by_last_word({"p1_T1": "p1_T1.nii", "p1_T2": "p1_T2.nii", "p2_T1": "p2_T1.nii"}, ["p1", "p2"])
    {'p1': {'T1': 'p1_T1.nii', 'T2': 'p1_T2.nii'}, 'p2': {'T1': 'p2_T1.nii'}}
    """
    known = set(cases)
    found: dict[str, dict[str, str]] = {}
    for name, file in files.items():
        ends = [separator.start() for separator in _SEPARATOR.finditer(name)]
        end = next((end for end in reversed(ends) if name[:end] in known), None)
        if end:
            found.setdefault(name[:end], {})[name[end + 1 :].strip("_-. ")] = file
    return found


def shared_words(cases: Collection[Mapping[str, str]]) -> tuple[str, ...]:
    """The words that at least half of the cases have together, sorted; those that more cases have come first.

    >>> shared_words([{"T1": "", "T2": ""}, {"T1": ""}, {"T1": "", "old": ""}])
    ('T1',)
    >>> shared_words([{"a": ""}, {"b": ""}])
    ('a',)
    """
    counts = Counter(word for words in cases for word in words)
    kept: list[str] = []
    complete = list(cases)
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        left = [words for words in complete if word in words]
        if 2 * len(left) >= len(cases):
            kept.append(word)
            complete = left
    return tuple(sorted(kept))
