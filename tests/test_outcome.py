"""What is said at the end of images that could not be predicted, or were not tried."""

from autoseg import records
from autoseg.cli import outcome, runs
from autoseg.contracts import PredictedCase, Prediction
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
