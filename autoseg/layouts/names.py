"""What names of files and folders say about images and masks, and how two names for one thing are brought together."""

import os
import re
from collections.abc import Iterable

_MASK = re.compile(
    r"mask|label|(?<!un)seg(?!ment(?:ed)?[_-]?im)|annot|ground[_-]?truth|truth|contour|manual|delineat|lesion_?map"
    r"|(?:^|[^a-z])(?:gt|roi|target|y)s?(?:[^a-z]|$)",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"(?:^|(?<=[_\-. ]))(?:images?|img|im|scan|vol(?:ume)?|orig(?:inal)?|raw|data"
    r"|masks?|labels?|lbl|seg(?:s|mentations?|mented)?|annotations?|ground[_-]?truth|gt|truth|manual|contours?|target|roi"
    r")(?=[_\-. ]|\d|$)",
    re.IGNORECASE,
)


def is_mask_name(name: str) -> bool:
    """Whether a file or folder name says "mask".

    >>> [is_mask_name(name) for name in ("labelsTr", "masks", "case_seg", "gt", "images", "target_01", "night")]
    [True, True, True, True, False, True, False]
    """
    return _MASK.search(name) is not None


def as_they_are(names: Iterable[str]) -> dict[str, str]:
    """Each name stands for itself."""
    return {name: name for name in names}


def without_roles(names: Iterable[str]) -> dict[str, str]:
    """Names without the words that tell images from masks.

    >>> without_roles(["img_001", "case7_seg"])
    {'img_001': '001', 'case7_seg': 'case7'}
    """
    return {name: re.sub(r"[_\-. ]+", "_", _ROLE.sub("", name)).strip("_-. ") for name in names}


def without_common(names: Iterable[str]) -> dict[str, str]:
    """Names without the beginning and the end that all share; a number is never cut in two.

    >>> without_common(["T2_010", "T2_011"])
    {'T2_010': '010', 'T2_011': '011'}
    """
    listed = list(names)
    start = os.path.commonprefix(listed).rstrip("0123456789")
    rest = [name[len(start) :] for name in listed]
    end = os.path.commonprefix([name[::-1] for name in rest])[::-1].lstrip("0123456789")
    return {name: core[: len(core) - len(end)] for name, core in zip(listed, rest, strict=True)}
