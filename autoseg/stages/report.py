"""Stage 9, ``report``: one self-contained page that explains every choice and shows honestly how good the result is.

    all records ─▶ index.html    (inline style, drawings and pictures; no network, no other file)

The page leads with what a clinician asks: how good, on whom, where does it fail, what does that look like. The nine
stages follow in their order, each under its own name.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg import records
from autoseg.contracts import (
    AuditEntry,
    Dataset,
    Interval,
    PlanSearch,
    Prediction,
    Prepared,
    Report,
    Scores,
    Selection,
    TrainedModel,
    Validation,
)
from autoseg.events import Notify, silent
from autoseg.intake.quarantine import WHOLE_DATASET
from autoseg.page import card, charts, tables, verdict, wording
from autoseg.page.before_after import Comparison
from autoseg.page.candidates import candidates
from autoseg.page.changes import changes
from autoseg.page.overlays import OverlayInput
from autoseg.page.portraits import portraits
from autoseg.page.rendering import render
from autoseg.page.worth import worth
from autoseg.workspace import STAGES
from planners import finetune
from planners.contracts import Budget, Fingerprint, Plan, StageRecord

algorithm_version = 5

__all__ = ["Comparison", "OverlayInput", "RunRecords", "report"]


@dataclass(frozen=True)
class RunRecords:
    """Everything the stages before have said.

    Attributes:
        prediction: Of the hold-out and the unlabelled cases; None: nothing was predicted.
        name: Of the data, for the title; empty: the labels and the modality name the task.
        search: Of the plan; None: no search was asked for.
    """

    dataset: Dataset
    fingerprint: Fingerprint
    budget: Budget
    plan: Plan
    prepared: Prepared
    trained: tuple[TrainedModel, ...]
    validation: Validation
    selection: Selection
    prediction: Prediction | None
    name: str = ""
    search: PlanSearch | None = None

    @property
    def holdout(self) -> Scores | None:
        """Hold-out scores, if there are any."""
        return None if self.prediction is None else self.prediction.holdout

    def of(self, stage: str) -> tuple[StageRecord, ...]:
        """The records that a stage has left."""
        by_stage: dict[str, tuple[StageRecord | None, ...]] = {
            "dataset": (self.dataset,),
            "fingerprint": (self.fingerprint,),
            "plan": (self.budget, self.plan, self.search),
            "preprocess": (self.prepared,),
            "train": self.trained,
            "crossvalidate": (self.validation,),
            "select": (self.selection,),
            "predict": (self.prediction,),
        }
        return tuple(record for record in by_stage.get(stage, ()) if record is not None)


def report(
    run: RunRecords,
    overlays: Callable[[str], OverlayInput],
    page: Path,
    *,
    comparisons: Callable[[str], Comparison] | None = None,
    notify: Notify = silent,
) -> Report:
    """Write the page.

    Args:
        run: What the stages have said.
        overlays: Loads image, reference and prediction of a scored case by its name. Where it raises an
            ``AutosegError`` the page says why there is no picture.
        page: The file to write.
        comparisons: Loads a development case before and after decision and post-processing, likewise; None: the page
            has no pictures of what these change.
        notify: Told after each picture.

    Returns:
        The numbers at the head of the page.
    """
    estimate, kind = card.honest(run.selection, run.holdout)
    scores = card.judged(run.selection, run.holdout)
    cases = 0 if scores is None else len(scores.cases)
    continued = finetune.continues(run.plan)
    headline = verdict.headline(estimate, kind, cases, continued=continued)
    unit = wording.distance_unit(run.dataset.dimension, run.fingerprint.spacing_known)
    labels, modality = run.dataset.labels, run.fingerprint.channels[0].modality
    rows = () if scores is None else tables.case_rows(scores, run.dataset)
    html = render(
        {
            "run": run,
            "headline": headline,
            "verdict": verdict.judge(estimate, kind, scores, unit, continued=continued),
            "legend": verdict.LEGEND,
            "kind": kind,
            "scores": scores,
            "scores_name": "holdout" if scores is not None and scores is run.holdout else "oof",
            "portraits": portraits(rows, labels, modality, overlays, notify),
            "changes": changes(run.selection, labels, modality, comparisons),
            "card": card.rows(card.make(run.dataset, run.fingerprint, run.selection, run.holdout, continued=continued)),
            "typical": card.representative(run.fingerprint.cases),
            "distance": unit,
            "volumes": _volume_unit(run, scores),
            **_tables(run),
            **_charts(run, scores),
        }
    )
    records.write_bytes(page, html.encode())
    return Report(
        page=f"{page.parent.name}/{page.name}", headline=headline, honest_mean_dice=estimate, honest_kind=kind
    )


def _tables(run: RunRecords) -> dict[str, object]:
    """Everything the page lists."""
    everything = [record for stage in STAGES for record in run.of(stage)]
    times = tables.stage_times([(stage, run.of(stage)) for stage in STAGES if run.of(stage)])
    return {
        "stages": STAGES,
        "times": times,
        "work_s": sum(time.seconds or 0.0 for time in times),
        "versions": tables.versions(everything),
        "audit_counts": Counter(e.verdict for e in run.dataset.audit.entries if e.case != WHOLE_DATASET),
        "audit_groups": _grouped(run.dataset.audit.entries),
        "audit_kinds": Counter(kind for entry in run.dataset.audit.entries for kind in entry.kinds),
        "audit_rows": [entry for entry in run.dataset.audit.entries if entry.case != WHOLE_DATASET],
        "orientations": Counter(case.orientation for case in run.fingerprint.cases).most_common(),
        "oof_rows": tables.case_rows(run.selection.oof, run.dataset),
        "holdout_rows": () if run.holdout is None else tables.case_rows(run.holdout, run.dataset),
        "candidates": candidates(run.selection),
        "worth": worth(run.selection),
        "judged": tables.judged(run.prediction),
        "resolutions": {c.name: tables.resolutions(c) for c in run.plan.configurations},
    }


def _charts(run: RunRecords, scores: Scores | None) -> dict[str, object]:
    """Everything the page draws; None where there is nothing to draw."""
    jobs = {c.name: [m for m in run.trained if m.configuration == c.name] for c in run.plan.configurations}
    selection = run.selection
    return {
        "distribution": charts.score_distribution(scores, "distribution") if scores else None,
        "agreement": charts.volume_agreement(scores, _volume_unit(run, scores), "agreement") if scores else None,
        "curves": {
            name: charts.learning_curves(models, f"curves-{name}")
            for name, models in jobs.items()
            if any(model.curve for model in models)
        },
        "search": charts.search(selection.trials, selection.default_oof_mean_dice, "search")
        if len(selection.trials) > 1 and selection.default_oof_mean_dice is not None
        else None,
        "estimates": charts.estimates(_estimates(run), "estimates") if selection.oof.cases else None,
    }


def _estimates(run: RunRecords) -> list[tuple[str, Interval]]:
    """The same mean Dice measured more and more honestly."""
    selection = run.selection
    rows = [
        ("default, oof", Interval(value=selection.default_oof_mean_dice, n=selection.oof.mean_dice.n)),
        ("chosen, oof", selection.oof.mean_dice),
        ("chosen, nested", selection.nested_mean_dice),
    ]
    if run.holdout is not None:
        rows.append(("chosen, hold-out", run.holdout.mean_dice))
    return [row for row in rows if row[1].value is not None]


def _volume_unit(run: RunRecords, scores: Scores | None) -> wording.VolumeUnit:
    volumes = [t.reference_mm3 for case in scores.cases for t in case.targets] if scores else []
    return wording.volume_unit(run.dataset.dimension, run.fingerprint.spacing_known, max(volumes, default=0.0))


def _grouped(entries: Sequence[AuditEntry]) -> tuple[tuple[AuditEntry, tuple[str, ...]], ...]:
    """Cases that are not simply fine, those with the same story together; the gravest first."""
    grave = ("fatal", "quarantined", "repaired")
    groups: dict[tuple[str, str, str], list[AuditEntry]] = {}
    for entry in entries:
        if entry.verdict != "ok" or entry.reason:
            groups.setdefault((entry.verdict, entry.reason, entry.repair), []).append(entry)
    ordered = sorted(groups.values(), key=lambda group: (*grave, "ok").index(group[0].verdict))
    return tuple((group[0], tuple(entry.case for entry in group)) for group in ordered)
