"""Scores as tables: every case and target, every mean with its interval, and a few of them to print."""

from pathlib import Path

import pandas as pd

from autoseg import records
from autoseg.contracts import Interval, Means, Scores, TargetSummary
from autoseg.errors import UsageError
from autoseg.volumes.metrics import METRICS

SHOWN = ("dice", "nsd", "hd95_mm", "relative_volume_error", "lesion_f1")
"""What is printed: overlap, border, worst distance, volume, lesions. Files have all metrics."""
MEAN, ALL = "(mean)", "(all)"
"""In place of a target, the mean over targets; in place of a group, all cases."""
_MOST_PRINTED = 20


def to_table(scores: Scores) -> pd.DataFrame:
    """One row per case and target, with every metric; undefined scores are empty (NaN)."""
    groups: dict[str, dict[str, str]] = {}
    for summary in scores.groups:
        groups.setdefault(summary.column, {}).update(dict.fromkeys(summary.cases, summary.group))
    rows = [
        {
            "case": case.case,
            "subject": case.subject,
            **{column: group_of[case.case] for column, group_of in groups.items()},
            **target.model_dump(),
        }
        for case in scores.cases
        for target in case.targets
    ]
    numbers = (*METRICS, "reference_mm3", "predicted_mm3")
    table = pd.DataFrame(rows, columns=["case", "subject", *groups, "target", *numbers])
    return table.astype(dict.fromkeys(numbers, "float64"))


def to_means(scores: Scores) -> pd.DataFrame:
    """One row per grouping, group, target and metric: number of cases, mean and interval; undefined ones are empty."""
    whole = ("", ALL, scores.targets, scores.means)
    parts = (whole, *((each.column, each.group, each.targets, each.means) for each in scores.groups))
    rows = [
        {
            "grouping": column,
            "group": group,
            "target": target,
            "metric": name,
            "unit": metric.unit,
            "better": metric.better,
            "n": (interval := _of(means, name)).n,
            "mean": interval.value,
            "low": interval.low,
            "high": interval.high,
        }
        for column, group, targets, overall in parts
        for target, means in (*((each.target, each) for each in targets), (MEAN, overall))
        for name, metric in METRICS.items()
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(("mean", "low", "high"), "float64"))


def lowest(scores: Scores) -> pd.DataFrame:
    """What to print of single cases: all of a few, else those of lowest Dice."""
    table = to_table(scores)[["case", "target", *SHOWN, "reference_mm3", "predicted_mm3"]]
    return table if len(table) <= _MOST_PRINTED else table.sort_values("dice", kind="stable").head(_MOST_PRINTED // 2)


def summary(scores: Scores) -> pd.DataFrame:
    """One row per target and one for the mean over targets: how many cases were scored, and means with intervals."""
    rows = [
        {"target": each.target, "n": each.dice.n, **_counts(each), **_shown(each, each.dice.n, scores)}
        for each in scores.targets
    ]
    n = scores.means.dice.n
    mean = {"target": MEAN, "n": n, "absent": "", "missed": "", **_shown(scores.means, n, scores)}
    return pd.DataFrame([*rows, mean])


def groupings(scores: Scores) -> tuple[pd.DataFrame, ...]:
    """A table for each grouping, a row per group: its cases and subjects, and means over targets with intervals."""
    tables: dict[str, list[dict[str, object]]] = {}
    for each in scores.groups:
        sizes = {"cases": len(each.cases), "subjects": each.subjects}
        row: dict[str, object] = {each.column: each.group, **sizes, **_shown(each.means, len(each.cases), scores)}
        tables.setdefault(each.column, []).append(row)
    return tuple(pd.DataFrame(rows) for rows in tables.values())


def write(scores: Scores, folder: Path) -> tuple[str, ...]:
    """Write all scores: ``scores.json``, ``cases.csv`` (see ``to_table``) and ``means.csv`` (see ``to_means``).

    Returns:
        The names of the files.

    Raises:
        UsageError: ``folder`` is a file.
        ResourceError: There is no room.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder for the scores")
    records.write(folder / "scores.json", scores)
    for name, table in (("cases.csv", to_table(scores)), ("means.csv", to_means(scores))):
        records.write_bytes(folder / name, table.to_csv(index=False).encode())
    return ("scores.json", "cases.csv", "means.csv")


def _of(means: Means, metric: str) -> Interval:
    interval: Interval = getattr(means, metric)
    return interval


def _counts(target: TargetSummary) -> dict[str, str]:
    return {"absent": str(target.absent), "missed": "" if target.missed is None else str(target.missed)}


def _shown(means: Means, n: int, scores: Scores) -> dict[str, str]:
    """The metrics that are printed, by their headings."""
    heading = {"nsd": f"nsd at {scores.tolerance_mm:.3g} mm", "relative_volume_error": "volume error"}
    return {heading.get(name, name): _with_interval(_of(means, name), n, METRICS[name].unit) for name in SHOWN}


def _with_interval(interval: Interval, n: int, unit: str) -> str:
    """A mean and its interval in text, and how many cases define it where not all do; what is undefined is "-"."""
    digits = 1 if unit else 3
    if interval.value is None:
        return "-"
    text = f"{interval.value:.{digits}f}"
    if interval.low is not None and interval.high is not None:
        text += f" ({interval.low:.{digits}f} to {interval.high:.{digits}f})"
    return text if interval.n == n else f"{text}, n {interval.n}"
