"""Splits that somebody gives instead of leaving them to us: where they are looked for, and how they are read.

The first of three places wins: the file that ``--splits`` names; ``splits_final.json`` or ``splits.json`` in the data
set's folder; a fold number that the layout knows of each case. The file has nnU-Net's form, one
``{"train": [...], "val": [...]}`` per fold, or is a single such object, which may name a ``"test"`` part as well.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.contracts import Case
from autoseg.errors import DataError, UsageError
from autoseg.layouts import json_files

FILES = ("splits_final.json", "splits.json")
_PARTS = {"train", "val", "test"}
_MOST_LISTED = 20


@dataclass(frozen=True)
class Fold:
    """The cases that train, that validate, and that do neither although they are named."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenSplit:
    """Folds as they were asked for.

    Attributes:
        origin: Where they stand, for messages.
        folds: At least one.
    """

    origin: str
    folds: tuple[Fold, ...]

    @property
    def named(self) -> frozenset[str]:
        """All cases that train or validate somewhere."""
        return frozenset(case for fold in self.folds for case in (*fold.train, *fold.val))


def find(cases: Sequence[Case], source: Path, file: str | None) -> GivenSplit | None:
    """The split that was given, not yet checked against the cases; None: nobody gave one.

    Args:
        cases: All cases of the data set.
        source: Its folder, or a file in it that lists the cases.
        file: What ``--splits`` says.

    Raises:
        UsageError: ``--splits`` names no file.
        DataError: The file has another form, or fold numbers are out of range.
    """
    if file is not None and not Path(file).is_file():
        raise UsageError(f"--splits {file}: no such file; expected a JSON list of {{'train': [...], 'val': [...]}}")
    path = _in_folder(cases, source) if file is None else Path(file)
    return _of_cases(cases) if path is None else read(path)


def read(path: Path) -> GivenSplit:
    """Read a file of folds.

    Raises:
        DataError: Not JSON, or of another form.
    """
    content = json_files.read(path, "list of folds")
    listed = [content] if isinstance(content, dict) else content
    if not isinstance(listed, list) or not listed:
        raise _form(path, "$", content)
    return GivenSplit(path.name, tuple(_fold(item, number, path) for number, item in enumerate(listed)))


def listed(cases: Collection[str]) -> str:
    """Names in a sentence, sorted; a number stands for those beyond twenty."""
    ordered = sorted(cases)
    more = f" and {len(ordered) - _MOST_LISTED} more" if len(ordered) > _MOST_LISTED else ""
    return ", ".join(ordered[:_MOST_LISTED]) + more


def _in_folder(cases: Sequence[Case], source: Path) -> Path | None:
    """The file of folds in the data set's folder, which may be a subfolder of what was looked at."""
    tops = {Path(image).parts[0] for case in cases for image in case.images if len(Path(image).parts) > 1}
    root = source if source.is_dir() else source.parent
    folders = [root, *(root / top for top in tops if len(tops) == 1)]
    found = [folder / name for folder in folders for name in FILES if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(f"{' and '.join(map(str, found))} both give folds; keep one, or name it with --splits")
    return found[0] if found else None


def _of_cases(cases: Sequence[Case]) -> GivenSplit | None:
    """Folds from the number that each case brings along; cases without one only train."""
    labelled = [case for case in cases if case.labelled and not case.given_holdout]
    by_number = defaultdict[int, list[str]](list)
    for case in labelled:
        if case.given_fold is not None:
            by_number[case.given_fold].append(case.case)
    if not by_number:
        return None
    first = 1 if 0 not in by_number else 0
    expected = range(first, first + len(by_number))
    odd = [f"{number} ({listed(by_number[number])})" for number in sorted(by_number) if number not in expected]
    if odd:
        raise DataError(
            f"fold numbers out of range: {', '.join(odd)}; expected {first} to {expected[-1]}, as there are "
            f"{len(by_number)} different ones; correct them"
        )
    names = {case.case for case in labelled}
    folds = [Fold(tuple(sorted(names - set(by_number[n]))), tuple(sorted(by_number[n]))) for n in expected]
    return GivenSplit("the fold of each case", tuple(folds))


def _fold(content: object, number: int, path: Path) -> Fold:
    if not isinstance(content, dict) or not {"train", "val"} <= content.keys() <= _PARTS:
        raise _form(path, f"$[{number}]", content)
    parts: dict[str, tuple[str, ...]] = {}
    for name, cases in content.items():
        if not isinstance(cases, list) or not all(isinstance(case, str) for case in cases):
            raise _form(path, f"$[{number}].{name}", cases)
        parts[name] = tuple(cases)
    return Fold(parts["train"], parts["val"], parts.get("test", ()))


def _form(path: Path, where: str, found: object) -> DataError:
    return DataError(
        f'{path}: at {where}: expected folds as [{{"train": ["case_1", ...], "val": ["case_2", ...]}}, ...], found '
        f"{str(found)[:60]!r}; correct the file, or rename it if it is something else"
    )
