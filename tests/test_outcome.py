"""What is said at the end of images that could not be predicted, or were not tried."""

from autoseg import records
from autoseg.cli import outcome, runs
from autoseg.contracts import ExpectedDice, PredictedCase, Prediction
from autoseg.status import StageStatus, Status
from autoseg.workspace import Workspace


def some(failed, done=2):
    broken = [PredictedCase(case=f"b{n}", status="failed", error=f"b{n}.nii.gz: cut short") for n in range(failed)]
    return Prediction(cases=(*(PredictedCase(case=f"a{n}", status="done", output="x") for n in range(done)), *broken))


def test_nothing_failed_nothing_said():
    assert outcome.failures(some(0)) == []


def test_many_failures_are_counted_and_some_listed():
    told = outcome.failures(some(30))
    assert told[:2] == ["30 of 32 cases failed:", "  b0: b0.nii.gz: cut short"]
    assert len(told) == 22
    assert told[-1] == "  and 10 more, see predict.json"


def test_many_files_left_over():
    files = tuple(f"{n}_seg.nii.gz" for n in range(25))
    told = list(outcome.unused(some(0).model_copy(update={"left_over": files, "left_over_because": ("a mask",) * 25})))
    assert told[0] == "left over: 0_seg.nii.gz: a mask"
    assert told[-1] == "and 5 more left over, see predict.json"


def test_a_run_ends_with_what_it_could_not_predict(tmp_path, capsys):
    records.write(Workspace(tmp_path).record("predict"), some(1))
    runs._tell_failures(tmp_path)
    assert capsys.readouterr().err.splitlines() == ["1 of 3 cases failed:", "  b0: b0.nii.gz: cut short"]


def foretold(name, dice, look=""):
    low, high = (None, None) if dice is None else (dice - 0.1, dice + 0.05)
    one = ExpectedDice(target="organ", dice=dice, low=low, high=high, look=look)
    return PredictedCase(case=name, status="done", output="x", expected=(one,))


def test_expected_dice_are_told_the_least_first_and_masks_to_look_at_by_name():
    cases = (
        foretold("good", 0.9),
        foretold("poor", 0.5, "probably outlined less well"),
        foretold("odd", None, "empty"),
    )
    made = Prediction(cases=cases)
    assert list(outcome.expected(made)) == [
        "expected Dice (90 % interval), the least first:",
        "  poor: organ 0.50 (0.40 to 0.55)",
        "  good: organ 0.90 (0.80 to 0.95)",
    ]
    assert list(outcome.looks(made)) == [
        "look at 2 masks before relying on them:",
        "  poor, organ: probably outlined less well",
        "  odd, organ: empty",
    ]
    assert not list(outcome.expected(some(1))) and not list(outcome.looks(some(1)))


def test_many_expectations_are_listed_in_part():
    made = Prediction(cases=tuple(foretold(f"c{n:02d}", 0.5 + n / 100, "poor") for n in range(30)))
    told, looks = list(outcome.expected(made)), list(outcome.looks(made))
    assert (len(told), told[-1]) == (22, "  and 10 more, see predict.json")
    assert (len(looks), looks[-1]) == (22, "  and 10 more, see predict.json")


def state(done, working=(), left_s=None, hours=None):
    stages = (StageStatus(stage="train", done=done, detail="1 of 2 jobs"),)
    return Status(
        source="x",
        hours=hours,
        worked_s=75.0,
        peak_memory_bytes=1,
        stages=stages,
        activity="no event yet",
        working=working,
        left_s=left_s,
    )


def test_a_run_that_stopped_is_told_what_goes_on(tmp_path):
    told = list(outcome.progress(tmp_path / "my run", state(False, left_s=125.0, hours=0.05)))
    assert told[0].endswith("worked 1 min 15 s of at most 3 min, about 2 min 5 s left")
    assert "open  train" in told[1]
    assert told[-1].strip() == f"nothing is running; `autoseg report '{tmp_path / 'my run'}'` goes on"


def test_a_run_at_work_names_who_works_and_a_finished_one_what_it_made(tmp_path):
    assert (
        list(outcome.progress(tmp_path, state(False, ("process 7 on ward3",))))[-1] == "  running: process 7 on ward3"
    )
    assert str(Workspace(tmp_path).page) in list(outcome.progress(tmp_path, state(True)))[-1]
