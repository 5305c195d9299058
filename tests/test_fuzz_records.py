"""Records that somebody edited, or a disk spoiled: they are read, or an error says what is wrong with which file."""

import json

from autoseg import model, records
from autoseg.contracts import Run, Settings
from autoseg.errors import EXPECTED_ERRORS, AutosegError
from autoseg.events import Event
from autoseg.status import status
from autoseg.workspace import Workspace
from planners import registry, validation
from planners.contracts import Plan, with_previous_stages
from tests import report_records, strategies
from tests.fuzzing import broken_json, fuzz, one_of
from tests.model import tiny

SHARE = 0.25


def valid_records():
    """One record of each kind that lies in a run folder."""
    made = report_records.run(report_records.Sample(development=3, holdout=1, folds=2))
    shown = (made.dataset, made.fingerprint, made.budget, made.prepared, made.trained[0], made.validation)
    return [*shown, made.selection, made.prediction, Run(source="/data", settings=Settings())]


def test_broken_records(tmp_path):
    valid = [(type(record), record.model_dump_json().encode()) for record in valid_records()]
    path = tmp_path / "record.json"

    def look(generator):
        kind, text = one_of(valid, generator)
        path.write_bytes(broken_json(text, generator))
        try:
            record = records.read(path, kind)
        except AutosegError as error:
            assert path.name in str(error)
        else:
            assert kind.model_validate_json(record.model_dump_json()) == record
            assert records.digest(record)

    fuzz(look, SHARE)


def test_edited_plans(tmp_path):
    """What passes the check has an order in which it can be trained."""
    data, machine = strategies.fingerprint(((400, 512, 512),)), strategies.budget()
    made = registry.plan(data, machine, "nnunet")
    assert any(configuration.previous_stage for configuration in made.configurations)
    valid = made.model_dump_json().encode()
    path = tmp_path / "plan.json"

    def look(generator):
        path.write_bytes(broken_json(valid, generator))
        try:
            plan = records.read(path, Plan)
            assert records.changes(made, plan) or plan == made
            validation.check(plan, data, machine)
        except EXPECTED_ERRORS as error:
            assert str(error)
        else:
            names = [configuration.name for configuration in plan.configurations]
            assert len(with_previous_stages(names, plan.configurations)) == len(names)

    fuzz(look, SHARE)


def test_status_of_broken_run_folders(tmp_path):
    workspace = Workspace(tmp_path)
    made = report_records.run(report_records.Sample(development=3, holdout=1, folds=2))
    records.write(workspace.run, Run(source="/data", settings=Settings()))
    records.write(workspace.record("dataset"), made.dataset)
    records.write(workspace.record("plan"), made.plan)
    log = workspace.events
    log.parent.mkdir()
    log.write_bytes(json.dumps({"time": 0.0, "event": Event(stage="train").model_dump()}).encode() + b"\n")
    valid = {path: path.read_bytes() for path in (workspace.record("dataset"), workspace.record("plan"), log)}
    assert status(tmp_path).stages

    def look(generator):
        path = one_of([*valid], generator)
        path.write_bytes(broken_json(valid[path], generator))
        try:
            status(tmp_path)
        except AutosegError as error:
            assert path.name in str(error)
        path.write_bytes(valid[path])

    fuzz(look, SHARE)


def test_broken_models(tmp_path):
    folder = tmp_path / "model"
    valid = tiny.make(folder).model_dump_json().encode()

    def look(generator):
        (folder / "model.json").write_bytes(broken_json(valid, generator))
        try:
            model.load(folder, device="cpu")
        except AutosegError as error:
            assert str(folder) in str(error)

    fuzz(look, SHARE)
