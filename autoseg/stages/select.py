"""Selection: the ensemble and the post-processing that the out-of-fold predictions support, and how good that is.

The search (``autoseg.selection.search``) chooses on all development cases; its score on them, ``oof``, is optimistic.
The honest number is nested: for each fold the same search chooses on the others and is scored on it. The default, the
best single configuration without post-processing, is chosen the same way. The search's choice ships only if it beats
the default nested, its whole interval above zero; otherwise the default ships. (Varma and Simon, BMC Bioinformatics
7:91, 2006, show how much choosing and scoring on the same cases flatters.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg import records
from autoseg.contracts import (
    CaseScan,
    Dataset,
    Member,
    Scores,
    Selection,
    Trial,
    Validation,
)
from autoseg.evaluation.scoring import dice_of, score_case, score_table, summarize, to_interval
from autoseg.events import Event, Notify, silent
from autoseg.outoffold import OutOfFold, joint_box, place, read_job
from autoseg.postprocessing import segment
from autoseg.selection.choice import Pipeline, explain, pipeline_of
from autoseg.selection.ensembles import Candidate, Evidence, blend, gather
from autoseg.selection.search import Outcome, search
from autoseg.volumes import statistics
from autoseg.volumes.labels import Classes
from autoseg.workspace import DatasetFolder, JobFolder
from planners.contracts import Plan

algorithm_version = 2

Jobs = Callable[[str, int], JobFolder]
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sources:
    """Where cases, labels, out-of-fold predictions and their validation scores are found."""

    dataset: Dataset
    labels: DatasetFolder
    jobs: Jobs
    validations: Mapping[str, Scores]

    def predicted(self, case: str, fold: int, pipeline: Pipeline) -> tuple[Classes, Classes, CaseScan]:
        """Reference, prediction (z, y, x) and scan of a case: exactly what the shipped model would make of it."""
        scan = records.read(self.labels.scan(case), CaseScan)
        reference = np.load(self.labels.label(case), allow_pickle=False)
        names = [member.configuration for member in pipeline.members]
        stored: dict[str, OutOfFold] = {name: read_job(self.jobs(name, fold), name, fold, case) for name in names}
        box = joint_box([prediction.box for prediction in stored.values()])
        probabilities = blend(stored, pipeline.members, box, self.dataset.labels.kind)
        classes = segment(probabilities, self.dataset.labels, scan.spacing_mm, pipeline.postprocessing)
        return reference, place(classes, box, scan.shape), scan


def select(
    dataset: Dataset,
    plan: Plan,
    validation: Validation,
    source: DatasetFolder,
    jobs: Jobs,
    *,
    seed: int,
    notify: Notify = silent,
) -> Selection:
    """Choose ensemble and post-processing, and measure the choice without flattery.

    Args:
        dataset: Labels, subjects and the split.
        plan: Its configurations may become members.
        validation: Their out-of-fold scores.
        source: Holds the canonical labels and the scans.
        jobs: Folder of the job (configuration, fold).
        seed: Of the sampler and the bootstrap.
        notify: Told of each case.

    Returns:
        The choice. ``nested_gain`` is always that of the search's choice over the default, also where it did not
        suffice and the default ships; ``nested_mean_dice`` is of what ships. Without validation cases the default
        ships untested and every score is null.

    Raises:
        DataError: An out-of-fold prediction is missing or damaged; the message names case and job.
    """
    validations: dict[str, Scores] = {entry.configuration: entry.oof for entry in validation.configurations}
    folds = [index for index, cases in enumerate(dataset.split.folds) if cases]
    if not folds or all(entry.oof.mean_dice.value is None for entry in validation.configurations):
        return _untested(plan, validations, "there are no validation cases that could be scored")
    sources = Sources(dataset, source, jobs, validations)
    evidence = gather(dataset, plan, source, jobs, notify)
    outcome = search(evidence, np.arange(len(evidence.cases)), seed)
    if outcome is None:
        return _untested(plan, validations, "no target occurs in any validation case")
    nested = _nested(evidence, sources, seed, notify)
    return _decide(evidence, sources, outcome, nested, seed)


@dataclass(frozen=True)
class Nested:
    """Dice (cases, targets) of choices made on other folds; None: fewer than two folds to choose and score on."""

    chosen: Table
    default: Table


def _nested(
    evidence: Evidence,
    sources: Sources,
    seed: int,
    notify: Notify,
) -> Nested | None:
    """Cross-fit the search and the default."""
    chosen = np.full((len(evidence.cases), len(evidence.targets)), np.nan)
    default = chosen.copy()
    folds = np.unique(evidence.folds)
    for done, fold in enumerate(folds, start=1):
        outcome = search(evidence, np.flatnonzero(evidence.folds != fold), seed)
        if outcome is None:
            return None
        rows = np.flatnonzero(evidence.folds == fold)
        default[rows] = _held_out(evidence, sources, outcome.default.candidate, rows)
        chosen[rows] = _held_out(evidence, sources, outcome.chosen.candidate, rows)
        notify(Event(stage="select", done=done, total=len(folds), unit="folds", detail="nested choice"))
    return Nested(chosen, default)


def _held_out(
    evidence: Evidence,
    sources: Sources,
    candidate: Candidate,
    rows: npt.NDArray[np.intp],
) -> Table:
    """Dice (rows, targets), exact: from validation where that has it, else by segmenting the cases."""
    pipeline = pipeline_of(evidence, candidate)
    cases = [evidence.cases[row] for row in rows]
    if len(pipeline.members) == 1 and not pipeline.postprocessing:
        scored = {score.case: score for score in sources.validations[pipeline.members[0].configuration].cases}
        known = [[target.dice for target in scored[case].targets] for case in cases]
        return score_table(known, len(evidence.targets))
    made = []
    for row, case in zip(rows, cases, strict=True):
        reference, predicted, _ = sources.predicted(case, int(evidence.folds[row]), pipeline)
        made.append(dice_of(reference, predicted, sources.dataset.labels))
    return score_table(made, len(evidence.targets))


def _decide(
    evidence: Evidence,
    sources: Sources,
    outcome: Outcome,
    nested: Nested | None,
    seed: int,
) -> Selection:
    """Ship the search's choice if it is worth it, else the default."""
    default, chosen = pipeline_of(evidence, outcome.default.candidate), pipeline_of(evidence, outcome.chosen.candidate)
    nowhere = np.full((len(evidence.cases), len(evidence.targets)), np.nan)
    honest = nested or Nested(nowhere, nowhere)
    gain = statistics.paired_interval(honest.chosen, honest.default, evidence.subjects, seed)
    better = chosen != default and gain.low is not None and gain.low > 0
    ships = chosen if better else default
    oof = (
        _full_scores(evidence, sources, ships, seed) if better else sources.validations[ships.members[0].configuration]
    )
    mean = statistics.interval(honest.chosen if better else honest.default, evidence.subjects, seed)
    return Selection(
        members=ships.members,
        postprocessing=ships.postprocessing,
        oof=oof,
        default_oof_mean_dice=outcome.default.mean_dice,
        nested_mean_dice=to_interval(mean),
        nested_gain=to_interval(gain),
        trials=_trials(evidence, outcome),
        because=explain(outcome, default, chosen, gain, better=better),
    )


def _full_scores(
    evidence: Evidence,
    sources: Sources,
    pipeline: Pipeline,
    seed: int,
) -> Scores:
    """All scores of a pipeline on all validation cases."""
    dataset = sources.dataset
    tolerance_mm = next(iter(sources.validations.values())).tolerance_mm
    scores = []
    for case, subject, fold in zip(evidence.cases, evidence.subjects, evidence.folds, strict=True):
        reference, predicted, scan = sources.predicted(case, int(fold), pipeline)
        scores.append(score_case(reference, predicted, dataset.labels, scan.spacing_mm, tolerance_mm, case, subject))
    return summarize(scores, dataset.labels, tolerance_mm, seed)


def _untested(plan: Plan, validations: Mapping[str, Scores], why: str) -> Selection:
    """The default where nothing could be measured: the configuration that sees most of the volume at once."""
    configuration = max(plan.configurations, key=lambda c: c.dimension)
    others = f" out of {len(plan.configurations)}" if len(plan.configurations) > 1 else ""
    unknown = to_interval(statistics.Estimate(None, None, None, 0))
    return Selection(
        members=(Member(configuration=configuration.name, weight=1.0),),
        postprocessing=(),
        oof=validations[configuration.name],
        default_oof_mean_dice=None,
        nested_mean_dice=unknown,
        nested_gain=unknown,
        trials=(),
        because=f"Nothing could be compared, because {why}. {configuration.name}{others} ships as it is, without "
        "post-processing, and its quality is unknown: check it on labelled cases before relying on it.",
    )


def _trials(evidence: Evidence, outcome: Outcome) -> tuple[Trial, ...]:
    pipelines = [pipeline_of(evidence, tried.candidate) for tried in outcome.tried]
    return tuple(
        Trial(
            number=number,
            members=pipeline.members,
            postprocessing=pipeline.postprocessing,
            oof_mean_dice=tried.mean_dice,
        )
        for number, (pipeline, tried) in enumerate(zip(pipelines, outcome.tried, strict=True))
    )
