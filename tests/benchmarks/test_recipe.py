"""Experiments on defaults: what a variant changes, how its time is counted, what the table says."""

from math import prod

import pytest
import torch

from autoseg import records
from autoseg.contracts import CaseScore, Interval, Scores, TargetScore
from benchmarks.race import pace
from benchmarks.race.autoseg_side import Setup, Side, Tuned
from benchmarks.race.cell import Cell, Machine
from benchmarks.race.tasks import TASKS
from benchmarks.recipe import __main__ as command
from benchmarks.recipe.experiment import Experiment
from benchmarks.recipe.table import table
from benchmarks.recipe.variants import BASE, SAME_WORK, VARIANTS, phases, same_work, varied
from planners.contracts import Configuration
from planners.registry import plan
from planners.validation import flaws
from tests.learn.tiny import source
from tests.stages.test_train import job
from tests.strategies import budget, fingerprint

CPU = torch.device("cpu")

HIPPOCAMPUS = fingerprint(((36, 50, 35),) * 160, names=("Anterior", "Posterior"))
NUCLEI = fingerprint(
    ((1, 256, 256),) * 56, dimension=2, spacing_known=False, modalities=("rgb",) * 3, names=("nucleus",)
)
PLANS = [plan(data, budget(hours=1.0)) for data in (HIPPOCAMPUS, NUCLEI)]
PLANNED = [made.configurations[0] for made in PLANS]
OPTIMIZER = {"optimizer", "learning_rate", "momentum", "weight_decay"}
"""Fields that only make sense together: each optimizer has numbers of its own."""


def changed_fields(planned: Configuration, variant: Configuration) -> set[str]:
    assert planned.model_copy(update={"network": variant.network, "training": variant.training}) == variant
    pairs = (planned.network, variant.network), (planned.training, variant.training)
    return {name for was, now in pairs for name in type(was).model_fields if getattr(was, name) != getattr(now, name)}


@pytest.mark.parametrize("planned", PLANNED, ids=("3d", "2d"))
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_one_thing_at_most_and_stays_a_configuration(planned, name):
    variant = VARIANTS[name](planned)
    fields = changed_fields(planned, variant)
    assert len(fields) <= 1 or fields == OPTIMIZER
    assert Configuration.model_validate_json(variant.model_dump_json()) == variant
    assert bool(fields) == bool(records.changes(planned, variant))


@pytest.mark.parametrize("planned", PLANNED, ids=("3d", "2d"))
def test_only_the_base_and_what_the_plan_says_anyway_change_nothing(planned):
    same = {name for name, change in VARIANTS.items() if change(planned) == planned}
    assert same == {BASE, planned.training.optimizer, planned.training.schedule, f"loss_{planned.training.loss}"}


def test_variants_can_be_tried_together():
    planned = PLANNED[0]
    both = varied("rate_x3+batch_x2+width_x0.5", planned)
    assert changed_fields(planned, both) == {"learning_rate", "batch", "features"}
    assert both.training.learning_rate == pytest.approx(3 * planned.training.learning_rate)


def test_what_changes_no_computation_takes_the_time_of_the_base():
    planned = PLANNED[0]
    same = {name for name, change in VARIANTS.items() if same_work(change(planned), planned)}
    assert {"rate_x3", "poly", "ema_none", "weight_decay_none", "foreground_0.67"} < same
    assert not same & {"batch_x2", "width_x1.5", "augmentation_none", "loss_lovasz", "batch_dice"}
    assert set(SAME_WORK) < set(type(planned.training).model_fields)


@pytest.mark.parametrize("planned", PLANNED, ids=("3d", "2d"))
def test_growing_patches_are_legal_grow_and_end_with_the_whole_one(planned):
    variant = VARIANTS["growing_0.5_0.6"](planned)
    small = variant.training.smaller_patches
    assert flaws(variant) == ()
    volumes = [prod(one.patch_vox) for one in small]
    assert volumes == sorted(set(volumes)) and 2 <= len(small) <= 3
    assert volumes[0] < 0.35 * prod(planned.training.patch_vox) * (2 if planned.dimension == 2 else 1)
    stretches = phases(variant)
    assert sum(share for share, _ in stretches) == pytest.approx(1.0)
    assert stretches[-1][0] == pytest.approx(0.4)
    assert [one.training.patch_vox for _, one in stretches] == [
        *(s.patch_vox for s in small),
        planned.training.patch_vox,
    ]
    assert same_work(stretches[-1][1], planned) and not same_work(stretches[0][1], planned)
    assert phases(planned) == ((1.0, planned),)


def test_more_patches_take_longer_and_the_same_the_same(monkeypatch):
    monkeypatch.setattr(pace, "FEWEST_TURNS", 2)
    planned = PLANNED[0]
    tiny = planned.training.model_copy(update={"patch_vox": (16, 16, 16), "batch": 1})
    network = planned.network.model_copy(update={"features": (4, 4, 4, 4, 4)[: len(planned.network.features)]})
    base = planned.model_copy(update={"training": tiny, "network": network})
    larger = base.model_copy(update={"training": tiny.model_copy(update={"batch": 8})})
    cases = source(members=((1,), (2,)), shape=(18, 18, 18))
    tries = range(5)  # a busy machine may disturb some of them
    assert any(pace.ratio(larger, base, cases, 0.2, CPU) > 1.5 for _ in tries)
    assert any(0.5 < pace.ratio(base, base, cases, 0.2, CPU) < 2.0 for _ in tries)
    assert pace.step_s(base, cases, 0.2, CPU) > 0


def test_a_kept_cell_of_another_meaning_is_refused(tmp_path):
    known = job()
    records_of_it = {"dataset": known.dataset, "budget": known.budget, "prepared": known.prepared}
    setup = Setup(plan=PLANS[0], others_share=0.0, **records_of_it)
    tuned = Tuned(step_s=1.0, load_before=0.0, load_after=0.0, others_share=0.0)
    experiment = Experiment(Side(TASKS["hippocampus"], tmp_path, 5.0, tmp_path), setup, tuned)
    kept = {"variant": "batch_x2", "changed": ["$.training.batch: 2 -> 3"], "ratio": 2.0, "others_share": 0.0}
    path = tmp_path / "slowness" / "batch_x2.json"
    path.parent.mkdir()
    path.write_text(str(kept).replace("'", '"'))
    with pytest.raises(SystemExit, match="batch_x2 meaning .*batch: 2 -> 3; now it means .*batch: 2 -> 4"):
        experiment.slowness("batch_x2")
    assert experiment.slowness("rate_x3").ratio == 1.0
    assert experiment.changed(PLANNED[0].training.optimizer) == ()


def test_the_fold_that_races_are_judged_on_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["recipe", str(tmp_path), str(tmp_path), "--fold", "0"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "must not choose any default" in capsys.readouterr().err


def made_cell(variant, seed, dice, changed=()):
    """Six cases of two labels, both of one score, each case a little worse than the one before."""
    scores = [
        CaseScore(
            case=case,
            subject=case,
            targets=tuple(
                TargetScore(target=name, dice=value, reference_mm3=1.0, predicted_mm3=1.0) for name in ("a", "b")
            ),
        )
        for case, value in ((f"case_{index}", dice - 0.02 * index) for index in range(6))
    ]
    blank = Interval(value=dice)
    return Cell(
        task="hippocampus",
        contender=variant,
        minutes=5.0,
        seed=seed,
        fold=1,
        started="",
        machine=Machine(processor="", cores=2, system=""),
        load_before=0.0,
        load_after=0.0,
        others_share=0.01,
        versions=(),
        train_s=300.0,
        steps=1000,
        batch=2,
        patch_vox=(8, 8, 8),
        settings=(),
        changed=changed,
        scores=Scores(
            tolerance_mm=1.0, cases=tuple(scores), targets=(), mean_dice=blank, mean_nsd=blank, convention=""
        ),
    )


def test_the_table_pairs_with_the_base_and_ranks():
    cells = [
        *(made_cell(BASE, seed, 0.8 + 0.01 * seed) for seed in (1, 2)),
        *(made_cell("ema_none", seed, 0.8 + 0.005 * seed, ("$.training.ema_decay: 0.9 -> null",)) for seed in (1, 2)),
        made_cell("rate_x3", 1, 0.85),
    ]
    rows = [line for line in table(cells).splitlines() if line.startswith("|")][2:]
    assert [row.split(" | ")[0] for row in rows] == ["| base", "| rate_x3", "| ema_none"]
    assert "+0.0400 (+0.0400 to +0.0400), 6 | +0.0400 |" in rows[1]
    assert "training.ema_decay: 0.9 -> null" in rows[2]
    assert "-0.0075" in rows[2] and "-0.0050, -0.0100 |" in rows[2]
    assert "fold 1" in table(cells)
