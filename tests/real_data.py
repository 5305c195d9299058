"""Small subsets of the real data sets, copied so that tests may change them; skips where the data are not at hand."""

import os
import shutil
from pathlib import Path

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


def real(name: str) -> Path:
    """Folder of a real data set."""
    folder = Path(os.environ.get("AUTOSEG_DATA", _BESIDE_THE_REPOSITORY)) / name
    if not folder.is_dir():
        pytest.skip(f"real data {name!r} not found; set AUTOSEG_DATA to the folder that holds it")
    return folder


def copy(name: str, to: Path, keep: int | None = None) -> Path:
    """A writable copy; with ``keep``, the first so many files of each subfolder."""
    source = real(name)
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        siblings = sorted(path for path in file.parent.iterdir() if path.is_file())
        if keep is None or file.parent == source or siblings.index(file) < keep:
            target = to / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return to
