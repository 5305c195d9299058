"""Reading JSON that somebody else wrote: size, depth, numbers and keys are checked, errors name line and column."""

import json
import re
from pathlib import Path

from autoseg.errors import DataError

_LARGEST_BYTES = 64 * 2**20
_DEEPEST = 64
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_HALF_CHARACTER = re.compile(r"\\ud[89a-f]", re.IGNORECASE)  # of a pair, unless the other half stands beside it


def read(path: Path, what: str, hint: str = "") -> object:
    """What a JSON file says.

    Args:
        path: The file; it must be there.
        what: What it should be, for messages: ``data set declaration``.
        hint: What else to do where it is no JSON at all.

    Raises:
        DataError: Not JSON, too large or too deep, with numbers that are none, or keys that stand twice.
    """
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        raise DataError(f"{path}: {size} bytes, more than {_LARGEST_BYTES}; this is no {what}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not valid JSON: {error}; save it as UTF-8 text") from error
    _refuse_oddities(text, path)
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: _without_twins(pairs, path))
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}; correct it there{hint}"
        ) from error
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise DataError(f"{path}: not valid JSON: {half!r} is half a character; correct the text it is in") from error
    except ValueError as error:  # a number with thousands of digits
        raise DataError(f"{path}: not valid JSON: {error}; correct the number") from error
    return content


def _refuse_oddities(text: str, path: Path) -> None:
    """Numbers that are none, and nesting so deep that reading it would overflow the stack."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        odd = token[0].lstrip("-") in ("NaN", "Infinity")
        if odd or depth > _DEEPEST:
            line = text.count("\n", 0, token.start()) + 1
            column = token.start() - text.rfind("\n", 0, token.start())
            problem = f"{token[0]} is no JSON number" if odd else f"nested more than {_DEEPEST} levels deep"
            raise DataError(f"{path}: not valid JSON at line {line}, column {column}: {problem}; correct it there")


def _without_twins(pairs: list[tuple[str, object]], path: Path) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise DataError(
            f"{path}: the keys {twice[:5]} stand twice in one object; nobody knows which counts; remove one"
        )
    return content
