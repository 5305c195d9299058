"""A table of groups: which site, scanner or phase a case belongs to, and whose case it is.

CSV or TSV. One column names cases (``case``, ``case_id``, ...: as the files are called, with or without suffix), or
subjects (``subject``, ``patient``, ...); every other column groups them. With both, the table also says which cases
belong to one subject, and intervals resample those. A column of more than twenty different values is no grouping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoseg import formats
from autoseg.contracts import GroupSummary, Scores
from autoseg.errors import DataError, UsageError
from autoseg.evaluation.scoring import summaries
from autoseg.events import Event, Notify
from autoseg.layouts import columns, rows

UNKNOWN = "unknown"
"""The group of what the table does not say."""
_MOST_GROUPS = 20
_LISTED = 8
_RESERVED = ("case", "subject", "target")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Groups:
    """What a table says of the cases that are compared.

    Attributes:
        subjects: Subject of each case.
        columns: By column, the group of each case.
    """

    subjects: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]

    def added_to(self, scores: Scores, seed: int) -> Scores:
        """The same scores with a summary of each group of each column."""
        found = [
            self._summary(scores, column, group, seed)
            for column, group_of in self.columns.items()
            for group in sorted(set(group_of.values()), key=lambda group: (group == UNKNOWN, group))
        ]
        return scores.model_copy(update={"groups": tuple(found)})

    def _summary(self, scores: Scores, column: str, group: str, seed: int) -> GroupSummary:
        members = [case for case in scores.cases if self.columns[column][case.case] == group]
        targets, means = summaries(members, [target.target for target in scores.targets], seed)
        return GroupSummary(
            column=column,
            group=group,
            cases=tuple(case.case for case in members),
            subjects=len({case.subject for case in members}),
            targets=targets,
            means=means,
        )


def read(path: Path, subjects: Mapping[str, str], notify: Notify) -> Groups:
    """Read a table of groups.

    Args:
        path: The table.
        subjects: Subject of each case that is compared, as far as known without the table.
        notify: Warned of cases without a group, and of columns and rows that are left out.

    Raises:
        UsageError: There is no such file.
        DataError: It is no table, names no cases or none of these, has nothing to group by, or contradicts itself.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file; name a CSV with a column `case` and one for each grouping")
    table = rows.read(path)
    case, subject = (columns.called(table.columns, what) for what in ("case", "subject"))
    key = case or subject
    if key is None:
        raise DataError(
            f"{path}: no column names cases or subjects, only {_listed(table.columns)}; call one `case` or `subject`"
        )
    row_of = _rows_of(path, table, key, subjects if case else {own: own for own in subjects.values()}, notify)
    known = {name: row_of.get(name if case else own) for name, own in subjects.items()}
    _require_some(path, key, table, known)
    _warn_of_missing(path, known, notify)
    groupings = [column for column in table.columns if column and column not in (case, subject)]
    return Groups(
        subjects={name: _cell(known[name], subject) or own for name, own in subjects.items()},
        columns=_groupings(path, groupings, known, has_subjects=bool(case and subject), notify=notify),
    )


def _rows_of(path: Path, table: rows.Table, key: str, wanted: Mapping[str, str], notify: Notify) -> dict[str, Row]:
    """The row of each wanted name.

    Raises:
        DataError: Two rows of one name say different things.
    """
    found: dict[str, tuple[Row, int]] = {}
    others = 0
    for row, line in zip(table.rows, table.lines, strict=True):
        cell = _cell(row, key)
        name = cell if cell in wanted else formats.stem(Path(PurePosixPath(cell.replace("\\", "/")).name))
        if name not in wanted:
            others += 1
            continue
        before, first = found.setdefault(name, (row, line))
        for column in table.columns:
            if column != key and _cell(before, column) != _cell(row, column):
                raise DataError(
                    f"{path}: lines {first} and {line} both describe {name}, with {column} {_cell(before, column)!r} "
                    f"and {_cell(row, column)!r}; keep one of them"
                )
    if others:
        notify(_warning(f"{path}: {others} of {len(table.rows)} rows name nothing that is compared"))
    return {name: row for name, (row, _) in found.items()}


def _groupings(
    path: Path, candidates: Sequence[str], known: Mapping[str, Row | None], *, has_subjects: bool, notify: Notify
) -> dict[str, dict[str, str]]:
    """The group of each case, by column.

    Raises:
        DataError: There is no column to group by, and none that tells subjects either.
    """
    found: dict[str, dict[str, str]] = {}
    for column in candidates:
        if column in _RESERVED:
            raise DataError(f"{path}: a grouping called {column!r} would hide a column of the scores; rename it")
        group_of = {name: _cell(row, column) or UNKNOWN for name, row in known.items()}
        if len(set(group_of.values())) > _MOST_GROUPS:
            notify(_warning(f"{path}: {column} has over {_MOST_GROUPS} values, which is no grouping; left out"))
            continue
        found[column] = group_of
        empty = [name for name, row in known.items() if row is not None and not _cell(row, column)]
        if empty:
            notify(_warning(f"{path}: {column} is empty for {_listed(empty)}; in group {UNKNOWN}"))
    if not found and not has_subjects:
        raise DataError(f"{path}: no column to group by; add one with a few values, such as the site of each case")
    return found


def _require_some(path: Path, key: str, table: rows.Table, known: Mapping[str, Row | None]) -> None:
    if not any(known.values()):
        raise DataError(
            f"{path}: {key} names none of the {len(known)} cases: it has {_listed([row[key] for row in table.rows])}, "
            f"expected such as {_listed(list(known))}"
        )


def _warn_of_missing(path: Path, known: Mapping[str, Row | None], notify: Notify) -> None:
    missing = [name for name, row in known.items() if row is None]
    if missing:
        notify(
            _warning(f"{path}: {len(missing)} of {len(known)} cases are missing: {_listed(missing)}; group {UNKNOWN}")
        )


def _cell(row: Row | None, column: str | None) -> str:
    """A cell without spaces around it; empty where it says nothing."""
    cell = "" if row is None or column is None else row[column].strip()
    return cell if columns.filled(cell) else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED]) or "nothing"
    return f"{shown} and {len(names) - _LISTED} more" if len(names) > _LISTED else shown


def _warning(detail: str) -> Event:
    return Event(stage="evaluate", what="warning", detail=detail)
