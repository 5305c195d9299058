"""The page of faults: what is known to go wrong with data, what autoseg does about it, and the test that makes it.

A test that makes a fault says so: ``@pytest.mark.fault(14, "label of another shape", "resampled if it shows the same
place, else quarantined")``. ``python -m tests.faults`` writes ``docs/faults.md`` from these marks; a test fails where
the page is out of date. Numbers are stable names for faults, so that issues and messages can speak of them.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "faults.md"
HEAD = """# What can be wrong with data, and what autoseg does

Every line is shown by a test that makes the fault and looks at verdict, message and exit code.
Written by `python -m tests.faults`; do not edit.

| fault | | behaviour | test |
|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Fault:
    """One mark on one test."""

    number: int
    what: str
    behaviour: str
    test: str


def faults() -> list[Fault]:
    """All marks below ``tests/``, by number; read from the source, so that nothing is imported."""
    return sorted(fault for path in sorted((ROOT / "tests").rglob("test_*.py")) for fault in _in_file(path))


def page() -> str:
    """The text of ``docs/faults.md``."""
    lines = [f"| {f.number} | {_cell(f.what)} | {_cell(f.behaviour)} | {_link(f.test)} |" for f in faults()]
    return HEAD + "\n".join(lines) + "\n"


def _in_file(path: Path) -> Iterator[Fault]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef):
            continue
        test = f"{path.relative_to(ROOT).as_posix()}::{node.name}"
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                number, what, behaviour = (ast.literal_eval(argument) for argument in mark.args)
                yield Fault(number, what, behaviour, test)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _link(test: str) -> str:
    path, name = test.split("::")
    return f"[{name}](../{path})"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
