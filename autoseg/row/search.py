"""The plan search of a row: variants of the plan, pruned by successive halving, and what is trained in the end.

A variant is trained in full only if it beats the plan of the rules on the cases that judged, by a paired comparison
over subjects whose interval lies above zero. The best of several is lucky, also where the others were given up after a
part of their training; so the interval is that of the best of all that were judged. These cases chose, so no honest
number may be made of them afterwards.
"""

import shutil
from collections.abc import Sequence
from typing import Literal

from autoseg import records
from autoseg.contracts import Interval, PlanSearch, PlanTrial, Settings
from autoseg.evaluation.scoring import score_table, to_interval
from autoseg.events import Notify
from autoseg.row import search_time
from autoseg.row.partial_training import FOLD, Searched, Trials
from autoseg.row.search_time import Extent
from autoseg.selection import halving
from autoseg.selection.halving import Tried
from autoseg.volumes import statistics
from autoseg.workspace import Workspace
from planners import variants
from planners.errors import PlanningError
from planners.variation import FIRST

FEWEST_SUBJECTS = 2
"""That judge; differences between plans have no interval over fewer."""


def search(about: Searched, workspace: Workspace, settings: Settings, notify: Notify) -> PlanSearch:
    """Try as many variants of a plan as fit the time, or go on with that, and choose.

    Args:
        about: What is searched.
        workspace: The run folder.
        settings: What was asked for.
        notify: Told of every trial, step and case.

    Raises:
        Interrupted: From ``notify``; everything is saved, and the same call goes on.
        ResourceError: The plan itself cannot be trained, or the disk is full.
    """
    extent = search_time.extent(settings.search, about.main, len(about.judges), search_time.of_search(settings))
    trials = Trials(workspace, settings, notify, about, extent)
    why = _hopeless(trials)
    if why:
        trials.tell(f"no variant of the plan is tried: {why}")
        because = f"Nothing was tried, because {why}. The plan of the rules stands."
        return _record(trials, (), because)
    trials.tell(
        f"{extent.variants} of {settings.search} variants that were asked for are tried, on {len(about.judges)} cases; "
        f"this is predicted to take {extent.all_s / 3600:.2f} h"
    )
    return choose(trials)


def choose(trials: Trials) -> PlanSearch:
    """Make, or finish, the trials, and say which plan is trained."""
    about, extent, seed = trials.about, trials.extent, trials.settings.seed
    choices = variants.space(about.plan, about.fingerprint, about.wishes)
    tried = halving.search(choices, FIRST, trials, extent.variants, seed)
    shutil.rmtree(trials.workspace.prepared_for_search, ignore_errors=True)
    whole = [trial for trial in tried[1:] if not trial.cause and len(trial.scores) == len(extent.rungs)]
    best = max(whole, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)
    if best is None:
        because = "No variant could be judged, so the plan of the rules stands."
        return _record(trials, tried, because + _fewer(tried, extent))
    compared = sum(bool(trial.scores) for trial in tried[1:])
    gain = _gain(best, tried[0], seed, compared)
    chosen = best if gain.low is not None and gain.low > 0 else tried[0]
    because = _because(best, gain, compared) + _fewer(tried, extent)
    return _record(trials, tried, because, chosen, gain).model_copy(update={"compared": compared})


def _fewer(tried: Sequence[Tried], extent: Extent) -> str:
    """That there are no more variants; empty where as many were tried as fit the time."""
    begun = sum(not trial.refused for trial in tried[1:])
    if begun >= extent.variants:
        return ""
    return f" Only {begun} of {extent.variants} variants were tried: there are no others that fit and differ."


def _hopeless(trials: Trials) -> str:
    """Why nothing can be tried; empty: something can."""
    about = trials.about
    if len({about.dataset.case(case).subject for case in about.judges}) < FEWEST_SUBJECTS:
        return f"fold {FOLD} has too few subjects to compare plans on"
    if trials.extent.variants:
        return ""
    hours = search_time.fewest_hours(about.main, len(about.judges))
    return (
        f"{search_time.SHARE:.0%} of the hours is too short to train even one variant and the plan beside it; for "
        f"--search to try anything here, give about {hours:g} hours"
    )


def _record(
    trials: Trials,
    tried: Sequence[Tried],
    because: str,
    chosen: Tried | None = None,
    gain: Interval = Interval(),
) -> PlanSearch:
    about, extent = trials.about, trials.extent
    plan = about.plan if chosen is None else about.variant(chosen.variation)
    return PlanSearch(
        asked=trials.settings.search,
        fitting=extent.variants,
        hours=search_time.of_search(trials.settings),
        predicted_hours=extent.all_s / 3600,
        judged_on=about.judges if tried else (),
        trials=tuple(_trial(trial, trials) for trial in tried),
        chosen=0 if chosen is None else chosen.number,
        oof_gain=gain,
        because=because,
        plan=plan.model_copy(update={"provenance": None}),
    )


def _trial(trial: Tried, trials: Trials) -> PlanTrial:
    return PlanTrial(
        number=trial.number,
        variation=trial.variation,
        plan=_digest(trial, trials.about),
        rungs=tuple(trials.rung(trial.number, rung, scores) for rung, scores in enumerate(trial.scores)),
        state=_state(trial, trials.extent),
        cause=trial.cause,
    )


def _state(trial: Tried, extent: Extent) -> Literal["complete", "pruned", "failed", "refused"]:
    if trial.cause:
        return "refused" if trial.refused else "failed"
    return "complete" if len(trial.scores) == len(extent.rungs) else "pruned"


def _digest(trial: Tried, about: Searched) -> str | None:
    try:
        return records.digest(about.variant(trial.variation))
    except PlanningError:
        return None  # the trial's cause says why


def _gain(best: Tried, base: Tried, seed: int, compared: int) -> Interval:
    """Mean Dice of the best trial over that of the plan, on their highest rung, paired over subjects."""
    first, second = (
        score_table([[target.dice for target in case.targets] for case in scores.cases], len(scores.targets))
        for scores in (best.scores[-1], base.scores[-1])
    )
    subjects = [case.subject for case in best.scores[-1].cases]
    return to_interval(statistics.paired_interval_of_best(first, second, subjects, seed, compared))


def _because(best: Tried, gain: Interval, compared: int) -> str:
    """The choice in plain words."""
    told = f"Of {compared} variants judged, trial {best.number} ({best.variation}) did best"
    if gain.value is None or gain.low is None or gain.high is None:
        return f"{told}, but it cannot be compared on the cases that judged, so the plan of the rules stands."
    measured = (
        f"{told}: {gain.value:+.4f} mean Dice (95 % interval for the best of {compared}: {gain.low:+.4f} to "
        f"{gain.high:+.4f}) over the plan of the rules on the {gain.n} cases that judged"
    )
    verdict = "so it is trained" if gain.low > 0 else "which is not clearly above zero, so the plan of the rules stands"
    return f"{measured}, {verdict}."
