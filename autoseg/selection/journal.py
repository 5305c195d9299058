"""Trials as they are made, one line each, so that a search that was killed goes on where it was.

    {"evidence": "<digest>"}
    {"search": "all", "number": 0, "parameters": {"mirror": false, ...}, "value": 0.87}
    ...

The first line says what the trials were measured on; with any other evidence they are forgotten. A line that was cut
off by a crash ends the file: what is after it is dropped and tried again, with the same outcome.
"""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg import records

Parameters = dict[str, bool | int | float | str]


class Line(BaseModel):
    """One trial of one of the searches."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    search: str
    number: int
    parameters: Parameters
    value: float


class Journal:
    """The trials of all searches of a selection, in a file."""

    def __init__(self, path: Path, evidence: str) -> None:
        """Read what an earlier attempt left.

        Args:
            path: The file; made if it is missing.
            evidence: Digest of all that the values depend on.
        """
        self._path = path
        head = json.dumps({"evidence": evidence})
        lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
        self._trials = _whole(lines[1:-1]) if lines[:1] == [head] else []  # what follows the last newline is cut off
        kept = [head, *(trial.model_dump_json() for trial in self._trials)]
        records.write_bytes(path, ("\n".join(kept) + "\n").encode())

    def of(self, search: str) -> list[Line]:
        """The trials of one search, numbered from 0 without a gap."""
        return [trial for trial in self._trials if trial.search == search]

    def add(self, search: str, number: int, parameters: dict[str, Any], value: float) -> None:
        """Append a trial; it survives a crash of the process from here on."""
        trial = Line(search=search, number=number, parameters=parameters, value=value)
        self._trials.append(trial)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(trial.model_dump_json() + "\n")
            file.flush()
            if number % 50 == 0:  # a crash of the machine may cost some trials, which are cheap
                os.fsync(file.fileno())


def _whole(lines: list[str]) -> list[Line]:
    """Trials up to the first line that is none, or does not follow its predecessor."""
    found: list[Line] = []
    following: dict[str, int] = {}
    for text in lines:
        try:
            trial = Line.model_validate_json(text)
        except ValidationError:
            break
        if trial.number != following.get(trial.search, 0):
            break
        following[trial.search] = trial.number + 1
        found.append(trial)
    return found
