"""``--snap-labels`` and ``--trust-grid``, as typed."""

import json

import numpy as np
from typer.testing import CliRunner

from autoseg import records
from autoseg.cli import app
from autoseg.contracts import Dataset, Run
from tests.made import ball, folder_of_pairs, nifti


def elsewhere(source):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[0, 3] = 100.0
    nifti(source / "masks" / "case_0.nii.gz", ball(), affine)
    return source


def verdicts(text):
    return {entry["case"]: entry["verdict"] for entry in json.loads(text)["audit"]}


def test_inspect_takes_them(tmp_path):
    source = elsewhere(folder_of_pairs(tmp_path / "data"))
    plain = CliRunner().invoke(app, ["inspect", str(source), "--json"])
    assert verdicts(plain.stdout)["case_0"] == "quarantined"
    trusting = CliRunner().invoke(app, ["inspect", str(source), "--trust-grid", "--json"])
    assert verdicts(trusting.stdout)["case_0"] == "repaired"


def test_dataset_remembers_them_as_settings(tmp_path):
    source, out = elsewhere(folder_of_pairs(tmp_path / "data")), tmp_path / "out"
    made = CliRunner().invoke(app, ["dataset", str(out), "--source", str(source), "--trust-grid"])
    assert made.exit_code == 0, made.output
    assert records.read(out / "run.json", Run).settings.trust_grid
    entries = records.read(out / "dataset.json", Dataset).audit.entries
    assert {entry.case: entry.verdict for entry in entries}["case_0"] == "repaired"
