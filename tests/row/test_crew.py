from autoseg.row import crew
from autoseg.workspace import Workspace


def test_a_process_on_another_gpu_that_ends_badly_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(crew.device, "others", lambda name: ("7",))
    workspace, told = Workspace(tmp_path), []  # no run folder: there is nothing to train
    workspace.events.parent.mkdir()
    with crew.hired(workspace, "auto", jobs=2, notify=told.append):
        pass
    (warned,) = [event.detail for event in told if event.what == "warning"]
    assert "GPU 7 ended with code 2" in warned
    assert "not a run folder" in (tmp_path / "events" / "gpu_7.log").read_text()


def test_a_single_job_needs_no_other_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(crew.device, "others", lambda name: ("7",))
    told = []
    with crew.hired(Workspace(tmp_path), "auto", jobs=1, notify=told.append):
        pass
    assert told == []
