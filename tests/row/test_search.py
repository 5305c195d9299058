"""A plan search in a run folder: partial trainings that survive being stopped, and a choice that is told."""

import pytest

from autoseg import pipeline, records
from autoseg.cli import options
from autoseg.contracts import PlanSearch
from autoseg.errors import ChangedInputs, Interrupted, ResourceError, UsageError
from autoseg.events import silent
from autoseg.row.partial_training import Searched, Trials
from autoseg.row.search import choose
from autoseg.row.search_time import SHARE, Extent, extent, fewest_hours, left_to_plan
from autoseg.status import status
from autoseg.workspace import Workspace
from planners.contracts import Parent, Plan, Variation
from planners.errors import InfeasibleBudget
from planners.memory import USABLE_SHARE
from planners.variants import varied
from planners.variation import FIRST
from tests import quick

STEPS = 3  # of a whole trial


@pytest.fixture(scope="module")
def opened(source, tmp_path_factory):
    """A run folder that is planned, without a search."""
    out = quick.prepare(tmp_path_factory.mktemp("searched") / "out")
    with pipeline.opened(out, source, quick.SETTINGS) as row:
        assert row.planning.planned
        yield row


def search(row, workspace: Workspace, notify=silent) -> PlanSearch:
    """Two variants; a wider one, and larger patches, do not fit the memory and take no place."""
    planned = row.planning.planned
    one = planned.configurations[0]
    enough = int(one.cost.memory_bytes / USABLE_SHARE["cpu"]) + 2
    budget = row.planning.budget.model_copy(update={"memory_bytes": enough})
    settings = row.settings.model_copy(update={"search": 2})
    about = Searched(planned, row.fingerprint, budget, settings.wishes, row.development)
    trial_s = (STEPS + 0.5) * one.cost.step_s
    return choose(Trials(workspace, settings, notify, about, Extent(2, trial_s, 0.0)))


def folder(row, path) -> Workspace:
    """Another run folder with the same cases."""
    path.mkdir()
    (path / "dataset").symlink_to(row.workspace.folder("dataset"))
    return Workspace(path)


def without_times(made: PlanSearch) -> str:
    def still(trial):
        return trial.model_copy(update={"rungs": tuple(r.model_copy(update={"seconds": 0.0}) for r in trial.rungs)})

    return made.model_copy(update={"trials": tuple(map(still, made.trials))}).model_dump_json()


def test_a_search_stopped_after_a_trial_goes_on_to_the_same_choice(opened, tmp_path):
    workspace = folder(opened, tmp_path / "stopped")
    ends = [lambda event: event.stage.startswith("train"), lambda event: event.detail.startswith("trial 1: mean Dice")]

    def stop(event):
        if ends[0](event):
            raise Interrupted("here")

    while ends:
        with pytest.raises(Interrupted):
            search(opened, workspace, stop)
        ends.pop(0)
    kept = workspace.trial(1, 0).record("crossvalidate").stat().st_mtime_ns
    made = search(opened, workspace)
    assert workspace.trial(1, 0).record("crossvalidate").stat().st_mtime_ns == kept
    unbroken = search(opened, folder(opened, tmp_path / "unbroken"))
    assert without_times(made) == without_times(unbroken)
    _check(made, workspace, opened)


def _check(made: PlanSearch, workspace: Workspace, row) -> None:
    plan, variant, wider, larger, other = made.trials
    assert [trial.variation for trial in made.trials[1:]] == list(FIRST[:4])
    assert [rung.steps for rung in plan.rungs] == [1, 3]
    assert made.variants == (variant, other)
    assert sorted((variant.state, other.state)) == ["complete", "pruned"]
    assert made.compared == 2
    assert made.refused == (wider, larger)
    assert "GB may be used" in wider.cause
    assert wider.plan is None
    assert plan.plan == records.digest(row.planning.planned) != variant.plan
    assert set(made.judged_on) == set(row.development.split.folds[0])
    assert {rung.cases for rung in plan.rungs} == {len(made.judged_on)}
    chosen = made.trials[made.chosen]
    assert records.digest(made.plan) == chosen.plan
    assert (made.chosen == 0) == (made.oof_gain.low is None or made.oof_gain.low <= 0)
    assert not list(workspace.folder("search").rglob("*.safetensors"))
    assert not workspace.prepared_for_search.exists()
    assert PlanSearch.model_validate_json(made.model_dump_json()) == made


def test_a_training_that_fails_keeps_its_cause_and_is_not_tried_again(opened, tmp_path):
    workspace, trial = folder(opened, tmp_path / "failed"), [""]

    def fail(event):
        trial[0] = event.detail if event.stage == "search" else trial[0]
        if event.stage.startswith("train") and not trial[0].startswith("trial 0 "):
            raise ResourceError("training diverged")

    made = search(opened, workspace, fail)
    assert [(trial.cause, trial.state) for trial in made.variants] == [("training diverged", "failed")] * 2
    assert made.chosen == 0
    assert "No variant could be judged" in made.because
    assert without_times(search(opened, workspace)) == without_times(made)


def test_without_a_search_nothing_of_it_is_written(opened):
    assert opened.planning.search is None
    assert opened.plan is opened.planning.planned
    assert not opened.workspace.record("search").exists()
    assert not any("search" in parent.name for parent in opened.plan.parents)


def test_a_search_takes_its_share_of_the_hours_and_another_number_asks_for_replan_once_it_trained(source, tmp_path):
    asked = quick.SETTINGS.model_copy(update={"hours": 0.1, "search": 3})
    out = quick.prepare(tmp_path / "out", asked)
    with pipeline.opened(out, source, asked) as row:
        assert row.plan.predicted_hours <= (1 - SHARE) * 0.1
        assert row.planning.search.trials == ()
        assert "too short to train even one variant" in row.planning.search.because
        assert records.digest(row.plan) == records.digest(records.read(row.workspace.record("plan"), Plan))
    with pipeline.opened(out, source, asked.model_copy(update={"search": 4})) as row:
        assert row.planning.search.asked == 4
    Workspace(out).folder("search").mkdir()
    another = asked.model_copy(update={"search": 5})
    with pytest.raises(ChangedInputs, match="--search: 4 -> 5"), pipeline.opened(out, source, another):
        pass
    with pipeline.opened(out, source, another, redo="all") as row:
        assert row.planning.search.asked == 5


def test_what_a_search_chose_is_what_follows(source, tmp_path):
    asked = quick.SETTINGS.model_copy(update={"hours": 0.1, "search": 3})
    out = quick.prepare(tmp_path / "out", asked)
    with pipeline.opened(out, source, asked) as row:
        variant = varied(
            row.planning.planned, Variation(rate=0.3), row.fingerprint, left_to_plan(row.planning.budget, asked)
        )
        records.write(row.workspace.record("search"), row.planning.search.model_copy(update={"plan": variant}))
    with pipeline.opened(out, source, asked) as row:
        assert row.plan == variant
        assert records.digest(row.planning.planned) != records.digest(variant)
        assert Parent(name="plan", digest=records.digest(variant)) in row.training.parents
    stages = [stage.stage for stage in status(out).stages]
    assert stages[stages.index("plan") + 1] == "search"


def test_hours_that_a_search_makes_too_short_are_named_as_a_whole(source, tmp_path):
    asked = quick.SETTINGS.model_copy(update={"hours": 0.001, "search": 3})
    out = quick.prepare(tmp_path / "out", asked)
    with pipeline.opened(out, source, asked) as row, pytest.raises(InfeasibleBudget, match="--search leaves") as caught:
        assert row.plan
    assert caught.value.smallest_hours > 0.001


def test_a_number_of_variants_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match="--search -1: expected a number of variants"):
        options.settings(None, "standard", "cpu", 0.0, None, 0, False, "auto", None, search=-1)


def test_as_many_variants_are_tried_as_the_hours_hold(opened):
    one = opened.planning.planned.configurations[0]
    one = one.model_copy(update={"cost": one.cost.model_copy(update={"step_s": 0.1, "fold_training_s": 600.0})})
    assert extent(8, one, 4, None).trial_s == 600.0
    few, many = extent(8, one, 4, 0.065), extent(8, one, 4, 0.5)
    assert 0 < few.variants < many.variants == 8
    assert few.all_s <= 0.065 * 3600
    assert many.trial_s <= 600.0
    assert extent(8, one, 4, 0.01).variants == 0
    assert few.trial_s * few.rungs[0].share >= 60 * 0.1
    alone = extent(8, one, 4, 0.04)
    assert alone.variants == 1 and alone.trial_s >= 9 * 60 * 0.1
    enough = fewest_hours(one, 4)
    assert extent(8, one, 4, SHARE * enough).variants == 1
    assert extent(8, one, 4, SHARE * (enough - 0.02)).variants == 0
    short = one.model_copy(update={"cost": one.cost.model_copy(update={"fold_training_s": 20.0})})
    assert extent(1, short, 4, None).trial_s == 20.0
    assert extent(4, short, 4, None).variants == 1


def test_a_variation_that_trains_what_another_trains_is_refused(opened, tmp_path):
    """Larger patches than the images there are change nothing, whatever else is varied beside them."""
    made = opened.planning
    about = Searched(made.planned, made.fingerprint, made.budget, opened.settings.wishes, opened.development)
    settings = opened.settings.model_copy(update={"search": 2})
    trials = Trials(folder(opened, tmp_path / "same"), settings, silent, about, Extent(2, 1.0, 0.0))
    assert trials.refuses(Variation()) == ""
    assert trials.refuses(Variation(rate=0.3)) == trials.refuses(Variation(rate=0.3)) == ""
    larger = Variation(patch=2.0)
    assert "changes nothing here" in trials.refuses(larger)
    assert trials.refuses(Variation(patch=2.0, rate=0.3)) == "trains what (rate x 0.3) trains"
