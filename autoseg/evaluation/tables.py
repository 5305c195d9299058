"""Scores as tables: every case and target, and the summary with intervals."""

import pandas as pd

from autoseg.contracts import Interval, Scores


def to_table(scores: Scores) -> pd.DataFrame:
    """One row per case and target; undefined scores are empty (NaN)."""
    rows = [
        {"case": case.case, "subject": case.subject, **target.model_dump()}
        for case in scores.cases
        for target in case.targets
    ]
    numbers = ("dice", "nsd", "hd95_mm", "reference_mm3", "predicted_mm3")
    table = pd.DataFrame(rows, columns=["case", "subject", "target", *numbers])
    return table.astype(dict.fromkeys(numbers, "float64"))


def summary(scores: Scores) -> pd.DataFrame:
    """One row per target and one for the mean over targets: how many cases were scored, and means with intervals."""
    rows = [
        {
            "target": target.target,
            "n": target.dice.n,
            "absent": str(target.absent),
            "dice": _with_interval(target.dice),
            f"nsd at {scores.tolerance_mm:.3g} mm": _with_interval(target.nsd),
            "hd95_mm": _with_interval(target.hd95_mm, digits=1),
        }
        for target in scores.targets
    ]
    mean = {
        "target": "mean",
        "n": scores.mean_dice.n,
        "absent": "",
        "dice": _with_interval(scores.mean_dice),
        f"nsd at {scores.tolerance_mm:.3g} mm": _with_interval(scores.mean_nsd),
        "hd95_mm": "",
    }
    return pd.DataFrame([*rows, mean])


def _with_interval(interval: Interval, digits: int = 4) -> str:
    """A mean and its interval in text; what is undefined is "-"."""
    if interval.value is None or interval.low is None or interval.high is None:
        return "-"
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"
