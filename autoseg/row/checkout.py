"""Which state of the source code runs, where it runs from a git checkout."""

import functools
import subprocess
from pathlib import Path

SECONDS = 5.0
"""Longest that git may take; a slow disk must not hold up a run for the sake of a note."""


@functools.cache
def commit(root: Path = Path(__file__).parents[2]) -> str | None:
    """The commit of the checkout at ``root``, with ``+`` where tracked files were changed; None without one."""
    if not (root / ".git").exists():
        return None
    try:
        head, changed = (_git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno")))
    except (OSError, subprocess.SubprocessError):  # no git, or one that does not trust the folder
        return None
    return head + ("+" if changed else "")


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS).stdout.strip()
