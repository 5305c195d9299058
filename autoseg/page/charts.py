"""The report's charts: scores per label, volumes, learning curves, the search and the estimates it led to."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from autoseg.contracts import Interval, Scores, TrainedModel, Trial
from autoseg.page.svg import INK, MUTED, PAPER, SERIES, canvas, serialize
from autoseg.page.wording import VolumeUnit

_WIDTH_IN = 6.0
_MOST_DOTS = 150  # per label; beyond, the box with its outliers says more than a cloud
_MOST_PANELS = 6
_ROOMY = 4  # so few labels get taller rows


def score_distribution(scores: Scores, name: str) -> Markup:
    """Dice of every case, a row per label: dots, a box of the middle half, and the mean with its interval."""
    targets = scores.targets
    values = [[t.dice for case in scores.cases for t in case.targets if t.target == s.target] for s in targets]
    dice = [np.array([v for v in row if v is not None]) for row in values]
    with canvas(_WIDTH_IN, 0.75 + (0.65 if len(targets) <= _ROOMY else 0.36) * len(targets)) as figure:
        axes = figure.add_subplot()
        for row, (points, summary) in enumerate(zip(dice, targets, strict=True)):
            _strip(axes, row, points)
            _mean(axes, row - 0.19, summary.dice)
        lowest = min((float(points.min()) for points in dice if len(points)), default=0.0)
        axes.set(xlim=(min(0.8, max(0.0, np.floor(10 * lowest - 0.5) / 10)) - 0.01, 1.01), xlabel="Dice per case")
        axes.set_yticks(range(len(targets)), [_cut(target.target) for target in targets])
        axes.set_ylim(len(targets) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
    return serialize(figure, name, "Distribution of Dice per label over cases")


def volume_agreement(scores: Scores, unit: VolumeUnit, name: str) -> Markup:
    """Predicted minus reference volume over their mean (Bland and Altman, Lancet 1986), a panel per label.

    With many labels, those with the lowest Dice are shown.
    """
    ranked = sorted(scores.targets, key=lambda t: 1.0 if t.dice.value is None else t.dice.value)[:_MOST_PANELS]
    shown = [t.target for t in scores.targets if t in ranked]
    columns = min(2, len(shown))
    lines = -(-len(shown) // max(1, columns))
    with canvas(_WIDTH_IN, 2.5 * lines if columns == 2 else 2.8) as figure:
        for number, target in enumerate(shown, start=1):
            axes = figure.add_subplot(lines, columns, number)
            pairs = [
                (t.reference_mm3 / unit.mm3, t.predicted_mm3 / unit.mm3)
                for case in scores.cases
                for t in case.targets
                if t.target == target
            ]
            _bland_altman(axes, np.array(pairs).reshape(-1, 2))
            axes.set_title(_cut(target), fontsize=9, color=INK, loc="left")
            axes.set(xlabel=f"mean of both ({unit.name})", ylabel=f"predicted − reference ({unit.name})")
    return serialize(figure, name, "Difference between predicted and reference volume against their mean")


def learning_curves(models: Sequence[TrainedModel], name: str) -> Markup:
    """Training loss over steps, a line per fold."""
    with canvas(_WIDTH_IN, 2.7) as figure:
        axes = figure.add_subplot()
        for number, model in enumerate(models):
            steps, loss = [p.step for p in model.curve], [p.loss for p in model.curve]
            style = ("-", "--", ":", "-.")[number // len(SERIES) % 4]
            marker = "o" if len(steps) == 1 else None
            color = SERIES[number % len(SERIES)]
            axes.plot(steps, loss, style, color=color, lw=1.4, marker=marker, ms=4, label=f"fold {model.fold}")
        axes.set(xlabel="step", ylabel="training loss")
        axes.legend(ncols=2, fontsize=8)
    return serialize(figure, name, "Training loss over steps, one line per fold")


def search(trials: Sequence[Trial], default: float, name: str) -> Markup:
    """Every candidate of the search, the best one so far, and where the default stands."""
    numbers, dice = [t.number for t in trials], [t.oof_mean_dice for t in trials]
    with canvas(_WIDTH_IN, 2.5) as figure:
        axes = figure.add_subplot()
        axes.plot(numbers, dice, "o", color=SERIES[0], ms=3.5, alpha=0.7, mec="none", label="candidate")
        axes.step(numbers, np.maximum.accumulate(dice), where="post", color=SERIES[1], lw=1.4, label="best so far")
        axes.axhline(default, color=MUTED, lw=1, ls="--", label="default")
        span = max(max(dice), default) - np.quantile([*dice, default], 0.1)  # a few hopeless candidates hide nothing
        axes.set_ylim(bottom=max(min(*dice, default), max(*dice, default) - 2.5 * span) - 0.1 * span - 1e-4)
        axes.set(xlabel="candidate", ylabel="oof mean Dice")
        axes.legend(ncols=3, fontsize=8, loc="lower right")
    return serialize(figure, name, "Out-of-fold mean Dice of every candidate of the search")


def estimates(rows: Sequence[tuple[str, Interval]], name: str) -> Markup:
    """Several estimates of the same mean Dice under each other, with their intervals."""
    with canvas(_WIDTH_IN, 0.7 + 0.3 * len(rows)) as figure:
        axes = figure.add_subplot()
        for row, (_, estimate) in enumerate(rows):
            _mean(axes, row, estimate)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel="mean Dice")
        axes.margins(x=0.08)
        axes.grid(visible=False, axis="y")
    return serialize(figure, name, "Estimates of the mean Dice with their 95 % intervals")


def _strip(axes: Axes, row: int, points: np.ndarray) -> None:
    """One label's cases. Dots are spread vertically by their order, so the picture is the same every time."""
    if not len(points):
        axes.text(0.99, row, "no case to score", color=MUTED, ha="right", va="center", fontsize=8)
        return
    low, first, median, third, high = _five_numbers(points)
    dots = points if len(points) <= _MOST_DOTS else points[(points < low) | (points > high)]
    offsets = 0.05 + 0.32 * (np.arange(len(dots)) * 0.618 % 1)
    axes.plot(dots, row + offsets, "o", color=SERIES[0], ms=3.2, alpha=0.6, mec="none")
    axes.add_patch(Rectangle((first, row - 0.33), third - first, 0.28, fill=False, edgecolor=MUTED, lw=0.9))
    axes.plot([low, first, np.nan, third, high], [row - 0.19] * 5, color=MUTED, lw=0.9)
    axes.plot([median, median], [row - 0.33, row - 0.05], color=INK, lw=1.4)


def _five_numbers(points: np.ndarray) -> tuple[float, ...]:
    """Whisker, quartiles and whisker after Tukey: whiskers end at the last case within 1.5 box lengths."""
    first, median, third = np.quantile(points, (0.25, 0.5, 0.75))
    reach = 1.5 * (third - first)
    inside = points[(points >= first - reach) & (points <= third + reach)]
    return float(inside.min()), float(first), float(median), float(third), float(inside.max())


def _mean(axes: Axes, row: float, estimate: Interval) -> None:
    """A mean as a diamond, its interval as a bar."""
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [row, row], color=SERIES[1], lw=2.6, solid_capstyle="round", zorder=4)
    axes.plot([estimate.value], [row], "D", color=SERIES[1], mec=PAPER, mew=0.8, ms=6, zorder=5)


def _bland_altman(axes: Axes, pairs: np.ndarray) -> None:
    """Dots, the bias, and the limits between which 95 % of differences fall if they are normal."""
    if not len(pairs):
        return
    means, differences = pairs.mean(axis=1), pairs[:, 1] - pairs[:, 0]
    axes.plot(means, differences, "o", color=SERIES[0], ms=3.2, alpha=0.6, mec="none")
    axes.axhline(0, color=MUTED, lw=0.8)
    bias = float(differences.mean())
    axes.axhline(bias, color=SERIES[1], lw=1.4)
    if len(differences) > 2:
        spread = 1.96 * float(differences.std(ddof=1))
        for limit in (bias - spread, bias + spread):
            axes.axhline(limit, color=SERIES[1], lw=1, ls="--")
    axes.margins(y=0.15)
    axes.locator_params(nbins=5)


def _cut(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
