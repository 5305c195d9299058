"""Reading ``dataset.json``: the file in which Decathlon and nnU-Net folders declare channels and labels.

The file is somebody else's: size and types are checked, every error names the place in the JSON, and a path that points
outside the folder is refused.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from autoseg.contracts import Label, LabelSet, Region
from autoseg.errors import DataError, LabelError, RefusedError
from autoseg.layouts import json_files

_KEYS = (
    *("name", "dataset_name", "description", "reference", "licence", "license", "release", "relase", "tensorImageSize"),
    *("modality", "channel_names", "labels", "regions_class_order", "file_ending", "overwrite_image_reader_writer"),
    *("numTraining", "numValidation", "numTest", "training", "validation", "test", "dataset", "author", "version"),
)

_LONGEST_PATH_BYTES, _LONGEST_NAME_BYTES = 2048, 255  # the root's own path needs room, too

Json = Mapping[str, object]


def read(path: Path) -> Json | None:
    """Read a ``dataset.json``; None if there is none.

    Raises:
        DataError: Not JSON (with line and column), not an object, or too large to be a declaration.
    """
    if not path.is_file():
        return None
    content = json_files.read(
        path, "data set declaration", ", or delete the file if images and masks lie in two folders of their own"
    )
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object {{...}} at $, found {type(content).__name__}")
    return content


def remarks(content: Json, path: Path, training: int | None = None) -> tuple[str, ...]:
    """What is odd but harmless: keys that look misspelled, and a count that is not what is there.

    Args:
        content: What was declared.
        path: Where.
        training: Cases of the training part that were found; None: not known.
    """
    near = {key: difflib.get_close_matches(key, _KEYS, 1, 0.8) for key in content if key not in _KEYS}
    found = [f"{path.name}: unknown key {key!r}, not used; did you mean {near[key][0]!r}?" for key in near if near[key]]
    declared = content.get("numTraining")
    if training is not None and declared is not None and declared != training:
        found.append(f"{path.name}: numTraining is {declared!r}, but {training} cases were found; those count")
    return tuple(found)


def inside(file: object, where: str, path: Path) -> str:
    """A path that the declaration names, relative to its folder, in POSIX style without ``./``.

    Raises:
        DataError: Not a string.
        RefusedError: It is absolute or climbs out of the folder.
    """
    if not isinstance(file, str) or not file.strip() or "\0" in file:
        raise DataError(f"{path}: at {where}: expected a file name, found {file!r}")
    return confined(file, f"{path}: at {where}")


def confined(file: str, where: str) -> str:
    r"""A path that somebody wrote down, if it stays inside the folder it is relative to.

    >>> confined(".\\a\\b.png", "here")
    'a/b.png'

    Raises:
        DataError: It is the folder itself, or longer than any file's path can be.
        RefusedError: It is absolute or climbs out of the folder.
    """
    parts = PurePosixPath(file.replace("\\", "/"))
    if len(file.encode()) > _LONGEST_PATH_BYTES or any(
        len(part.encode()) > _LONGEST_NAME_BYTES for part in parts.parts
    ):
        raise DataError(f"{where}: {file[:60]!r}... is too long to be the path of a file; correct it")
    if not parts.parts:
        raise DataError(f"{where}: {file!r} is a folder; name a file in it")
    if parts.is_absolute() or PureWindowsPath(file).drive or ".." in parts.parts:
        raise RefusedError(f"{where}: {file!r} points outside the data set's folder; move the file inside")
    return parts.as_posix()


def case_name(name: str, where: str) -> str:
    """A case's name that somebody wrote down, fit to be a file's name.

    >>> case_name("patient 1/scan 2", "here")
    'patient 1_scan 2'

    Raises:
        RefusedError: It climbs out of a folder, or is empty.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\0" in name:
        raise RefusedError(f"{where}: {name!r} is no name for a case, as files are named after it; rename it")
    return "_".join(parts.parts)


def channels(declared: object, where: str, path: Path) -> tuple[str, ...]:
    """Channel names from ``{"0": "CT", "1": "PET"}`` or ``["CT", "PET"]``, in order.

    Raises:
        DataError: Keys are not 0, 1, 2, ..., or names are not text.
    """
    if isinstance(declared, list):
        declared = {str(position): name for position, name in enumerate(declared)}
    if not isinstance(declared, dict) or not declared:
        raise DataError(f'{path}: at {where}: expected channel names such as {{"0": "CT"}}, found {declared!r}')
    numbers = sorted(_integer(key, f"{where}.{key}", path) for key in declared)
    if numbers != list(range(len(declared))):
        raise DataError(f"{path}: at {where}: expected the channels 0 to {len(declared) - 1}, found {numbers}")
    by_number = {_integer(key, where, path): name for key, name in declared.items()}
    return tuple(str(by_number[number]) for number in numbers)


def label_set(content: Json, path: Path) -> LabelSet | None:
    """The declared labels; None where nothing is declared.

    Both directions are understood: ``{"0": "background", "1": "organ"}`` (Decathlon) and ``{"background": 0, "organ":
    1}`` (nnU-Net), and with the latter regions (``"whole": [1, 2]`` with ``regions_class_order``) and ``"ignore"``.

    Raises:
        DataError: A value or name has the wrong type.
        LabelError: Two labels share a value, or the regions cannot be painted.
    """
    declared = content.get("labels")
    if declared is None:
        return None
    if not isinstance(declared, dict):
        raise DataError(f"{path}: at $.labels: expected an object of names and values, found {declared!r}")
    if all(_is_integer(key) for key in declared):
        named = {str(name): [_integer(value, "$.labels", path)] for value, name in declared.items()}
        if len(named) < len(declared):
            raise LabelError(f"{path}: at $.labels: two values have the same name; give each label its own name")
        return _exclusive(named, path)
    named = {name: _integers(value, f"$.labels.{name}", path) for name, value in declared.items()}
    if any(isinstance(value, list) for name, value in declared.items() if name not in ("background", "ignore")):
        return _regions(named, content.get("regions_class_order"), path)
    return _exclusive(named, path)


def _exclusive(named: dict[str, list[int]], path: Path) -> LabelSet:
    background, ignore, foreground = _take_apart(named, path)
    labels = sorted((Label(name=name, value=values[0]) for name, values in foreground.items()), key=lambda x: x.value)
    _must_differ([background, *([] if ignore is None else [ignore]), *(label.value for label in labels)], path)
    return LabelSet(labels=tuple(labels), background_value=background, ignore_value=ignore)


def _regions(named: dict[str, list[int]], order: object, path: Path) -> LabelSet:
    background, ignore, foreground = _take_apart(named, path)
    writes = _integers(order, "$.regions_class_order", path) if isinstance(order, list) else []
    if len(writes) != len(foreground):
        raise LabelError(
            f"{path}: at $.regions_class_order: expected one value for each of the {len(foreground)} regions "
            f"({', '.join(foreground)}), found {order!r}; list what each region paints, largest region first"
        )
    values = sorted({value for members in foreground.values() for value in members} - {background})
    if ignore in values:
        raise LabelError(f"{path}: at $.labels.ignore: {ignore} is also part of a region; give ignore its own value")
    alone = {members[0]: name for name, members in foreground.items() if len(members) == 1}
    labels = tuple(Label(name=alone.get(value, f"label_{value}"), value=value) for value in values)
    index = {value: position + 1 for position, value in enumerate(values)}
    regions = tuple(
        Region(name=name, members=tuple(sorted({index[v] for v in members if v in index})), writes=paints)
        for (name, members), paints in zip(foreground.items(), writes, strict=True)
    )
    return LabelSet(kind="regions", labels=labels, regions=regions, background_value=background, ignore_value=ignore)


def _take_apart(named: dict[str, list[int]], path: Path) -> tuple[int, int | None, dict[str, list[int]]]:
    """Background value, ignore value, and the rest."""
    zero = next((name for name, values in named.items() if values == [0]), None)
    background = next((name for name in named if name.lower() == "background"), zero)
    ignore = next((name for name in named if name.lower() == "ignore"), None)
    foreground = {name: values for name, values in named.items() if name not in (background, ignore)}
    if not foreground:
        raise LabelError(f"{path}: at $.labels: no label beside the background; declare what is to be segmented")
    return named[background][0] if background else 0, named[ignore][0] if ignore else None, foreground


def _must_differ(values: list[int], path: Path) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise LabelError(f"{path}: at $.labels: several labels have the value {twice}; each needs its own")


def _integers(value: object, where: str, path: Path) -> list[int]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DataError(f"{path}: at {where}: the list of values is empty")
    return [_integer(item, where, path) for item in items]


def _integer(value: object, where: str, path: Path) -> int:
    if not _is_integer(value):
        raise DataError(f"{path}: at {where}: expected a whole number, found {value!r}")
    return int(float(str(value)))


def _is_integer(value: object) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return float(str(value)).is_integer()
    except ValueError:
        return False
