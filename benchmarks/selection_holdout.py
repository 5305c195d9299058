"""Is our choice better than nnU-Net's on cases that nothing has seen? The same trained networks, and a hold-out.

    python -m benchmarks.selection_holdout RUN

RUN is a finished run folder with a hold-out (``autoseg run FOLDER RUN --holdout 0.2``). What ``select.json`` ships, the
choice of nnU-Net's procedure and the default (the best single configuration) are deployed from the same networks, each
as the mean of its fold models, and scored on whole volumes of the hold-out; intervals are paired over subjects.

Choices are fitted on outputs of single fold models and deployed on their mean, which is steadier and flatter. So each
choice is also scored with every fold model alone (averaged over them): what a second configuration gains there, the
mean over folds may have gained already. The second table shows the same for the best candidate with biases, its biases
acting more and less strongly.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg import model, pipeline, records
from autoseg.contracts import CaseScan, Dataset, Member, Model, Selection, Trial
from autoseg.evaluation.scoring import dice_of
from autoseg.model import SegmentationModel
from autoseg.pipeline import Row
from autoseg.row import deployment
from autoseg.selection.choice import describe
from autoseg.selection.store import Pipeline
from autoseg.volumes.statistics import Estimate, interval, mean_of_targets, paired_interval
from autoseg.workspace import DatasetFolder, ModelFolder
from planners.contracts import with_previous_stages

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HoldOut:
    """Cases that nothing has seen, on the canonical grid."""

    dataset: Dataset
    folder: DatasetFolder

    @property
    def subjects(self) -> tuple[str, ...]:
        """Of each case."""
        return tuple(self.dataset.case(case).subject for case in self.dataset.split.holdout)

    def dice(self, network: SegmentationModel, deciders: Sequence[SegmentationModel]) -> list[Table]:
        """Dice (cases, T) of what each of some models decides by the probabilities of one."""
        tables: list[list[tuple[float | None, ...]]] = [[] for _ in deciders]
        for case in self.dataset.split.holdout:
            spacing = records.read(self.folder.scan(case), CaseScan).spacing_mm
            reference = np.load(self.folder.label(case), allow_pickle=False)
            image = np.load(self.folder.image(case), allow_pickle=False)
            probabilities = network.canonical_probabilities(image, spacing)
            for table, decider in zip(tables, deciders, strict=True):
                table.append(dice_of(reference, decider.decide(probabilities, spacing), self.dataset.labels))
        return [np.array(table, dtype=np.float64) for table in tables]


def main(run: Path) -> None:
    """Deploy, score, and tell."""
    with pipeline.opened(run) as row, tempfile.TemporaryDirectory() as folder:
        if not row.dataset.split.holdout:
            raise SystemExit(f"{run}: nothing was held out; make a run with --holdout 0.2")
        if row.select.nnunet is None:
            raise SystemExit(f"{run}: nothing was selected there, see select.json")
        holdout = HoldOut(row.dataset, row.workspace.dataset)
        every = _deployed(row, None, Path(folder) / "all")
        folds = sorted({trained.fold for trained in row.train})
        singles = [_deployed(row, fold, Path(folder) / str(fold)) for fold in folds]
        _compare(row.select, holdout, every, singles)
        _shift(row.select, holdout, every, singles)


def _compare(
    selection: Selection, holdout: HoldOut, every: SegmentationModel, singles: Sequence[SegmentationModel]
) -> None:
    """What ships beside nnU-Net's choice and the default."""
    choices = _choices(selection)
    deployed = {name: _table(holdout, every, choice) for name, choice in choices.items()}
    alone = {
        name: np.mean([_table(holdout, one, choice) for one in singles], axis=0) for name, choice in choices.items()
    }
    print("| choice | what | hold-out Dice | what ships less this, paired | by single fold models | ships less this |")
    print("|---" * 6 + "|")
    for name, choice in choices.items():
        columns = [describe(choice)]
        for tables in (deployed, alone):
            gain = paired_interval(tables["ships"], tables[name], holdout.subjects, seed=0)
            columns.append(_words(interval(tables[name], holdout.subjects, seed=0), ".4f"))
            columns.append("" if name == "ships" else _words(gain, "+.4f"))
        print(f"| {name} | {' | '.join(columns)} |")


def _table(holdout: HoldOut, networks: SegmentationModel, choice: Pipeline) -> Table:
    chosen = _under(networks, choice)
    return holdout.dice(chosen, [chosen])[0]


def _shift(
    selection: Selection, holdout: HoldOut, every: SegmentationModel, singles: Sequence[SegmentationModel]
) -> None:
    """Biases on single models' outputs and on their mean."""
    biased = [trial for trial in selection.trials if trial.decision.biases]
    if not biased:
        print("no candidate has biases: nothing to show of how they act on the mean of several models")
        return
    best = max(biased, key=lambda trial: trial.oof_mean_dice)
    alone = np.mean([_by_strength(holdout, one, best) for one in singles], axis=0)
    together = _by_strength(holdout, every, best)
    print(f"\nbiases of: {describe(_pipeline(best))}; hold-out Dice, where they act so many times as strongly")
    print("| outputs | " + " | ".join(f"{strength:g}" for strength in STRENGTHS) + " |")
    print("|---" * (len(STRENGTHS) + 1) + "|")
    for name, values in (("single fold models, mean", alone), ("mean of the fold models", together)):
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in values) + " |")


def _by_strength(holdout: HoldOut, networks: SegmentationModel, trial: Trial) -> list[float]:
    choice = _under(networks, _pipeline(trial))
    deciders = [choice.with_record(_weakened(choice.record, strength)) for strength in STRENGTHS]
    return [mean_of_targets(table) or 0.0 for table in holdout.dice(choice, deciders)]


def _weakened(record: Model, strength: float) -> Model:
    biases = (bias.model_copy(update={"logit": strength * bias.logit}) for bias in record.decision.biases)
    return record.model_copy(update={"decision": record.decision.model_copy(update={"biases": tuple(biases)})})


def _choices(selection: Selection) -> Mapping[str, Pipeline]:
    """By name; the default stands under nnU-Net's name where that procedure chooses it, too."""
    named = {trial.name: _pipeline(trial) for trial in selection.trials if trial.name}
    nnunet = {} if selection.nnunet is None else {selection.nnunet.name: _pipeline(selection.nnunet)}
    return {"ships": Pipeline.of(selection)} | nnunet | named


def _pipeline(trial: Trial) -> Pipeline:
    return Pipeline(trial.members, trial.mirror, trial.blend, trial.decision, trial.postprocessing)


def _deployed(row: Row, fold: int | None, folder: Path) -> SegmentationModel:
    """All configurations' networks, of all folds or of one."""
    everything = row.select.model_copy(
        update={"members": tuple(Member(configuration=c.name, weight=1.0) for c in row.plan.configurations)}
    )
    trained = [one for one in row.train if fold is None or one.fold == fold]
    scans = [records.read(row.workspace.dataset.scan(case), CaseScan) for case in row.development.development]
    draft = deployment.draft(row.development, scans, row.fingerprint, row.plan, trained, everything)
    model.write(ModelFolder(folder), draft, lambda name, k: row.workspace.job(name, k).weights)
    return model.load(folder, device="cpu")


def _under(networks: SegmentationModel, choice: Pipeline) -> SegmentationModel:
    """The same networks, mixed and decided otherwise."""
    needed = {member.configuration for member in choice.members}
    return networks.with_record(
        networks.record.model_copy(
            update={
                "configurations": with_previous_stages(needed, networks.record.configurations),
                "members": choice.members,
                "mirror": choice.mirror,
                "blend": choice.blend,
                "decision": choice.decision,
                "postprocessing": choice.postprocessing,
            }
        )
    )


def _words(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return "n/a"
    spread = "" if estimate.low is None else f" ({estimate.low:{form}} to {estimate.high:{form}})"
    return f"{estimate.value:{form}}{spread}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
