"""The whole row on phantoms: every kind of label, resumed, killed, shared, and blind to the hold-out."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
import safetensors.torch
import torch

import autoseg
from autoseg import phantoms, pipeline, records
from autoseg.contracts import Prediction, Selection, TrainedModel, Validation
from autoseg.errors import ChangedInputs, Interrupted
from autoseg.row import crew
from autoseg.workspace import STAGES, Workspace, hold
from planners.contracts import Fingerprint, Plan
from planners.errors import InvalidPlan
from tests import quick
from tests.conftest import PHANTOM_SHAPE

BETTER_THAN_CHANCE = 0.15  # a few dozen steps teach this much; a broken geometry teaches nothing


def results(out: Path) -> dict[str, str]:
    """Digests of masks and shipped networks."""
    files = [*(out / "predict").glob("*.nii.gz"), *(out / "model" / "weights").glob("*")]
    assert files
    return {str(path.relative_to(out)): records.file_digest(path) for path in files}


def test_every_stage_leaves_its_record(finished):
    workspace = Workspace(finished)
    assert all(workspace.record(stage).exists() for stage in STAGES if stage != "train")
    assert all(workspace.job("3d_fullres", fold).record.exists() for fold in (0, 1))
    assert not list(finished.rglob("*.tmp"))
    assert not list(finished.rglob("checkpoint"))


def test_the_holdout_score_is_of_something_learned(finished):
    prediction = records.read(Workspace(finished).record("predict"), Prediction)
    assert prediction.holdout.mean_dice.n == 2
    assert prediction.holdout.mean_dice.value > BETTER_THAN_CHANCE
    assert all(case.status == "done" for case in prediction.cases)


def test_masks_lie_on_the_input_grid(finished, source):
    for mask in (finished / "predict").glob("*.nii.gz"):
        made, image = nibabel.load(mask), nibabel.load(source / "imagesTr" / mask.name)
        assert made.shape == image.shape
        assert np.array_equal(made.affine, image.affine)
        assert set(np.unique(made.get_fdata())) <= {0, 1, 2}


def test_the_same_command_again_does_nothing(finished, source):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    pipeline.run(source, finished, quick.SETTINGS)
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    changed = {path.name for path, stamp in after.items() if before.get(path) != stamp}
    assert {name for name in changed if not name.endswith(".jsonl")} <= {"run.json"}


def test_interrupted_at_every_stage_it_ends_with_the_same_masks(finished, source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    stopped: set[str] = set()

    def stop_once_per_stage(event):
        moment = f"{event.stage} {event.done > event.total / 2}"  # in the first and in the second half
        if moment not in stopped:
            stopped.add(moment)
            raise Interrupted("here")

    for _ in range(100):
        try:
            pipeline.run(source, out, quick.SETTINGS, notify=stop_once_per_stage)
            break
        except Interrupted:
            continue
    assert len(stopped) > 12
    assert results(out) == results(finished)


def test_killed_and_terminated_it_ends_with_the_same_masks(finished, source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    settings = quick.SETTINGS
    options = f"--hours {settings.hours} --device cpu --holdout 0.25 --folds 2 --seed 1 --deterministic".split()
    command = [sys.executable, "-m", "autoseg", "run", str(source), str(out), *options]
    kinds = ((signal.SIGTERM, 5), (signal.SIGKILL, -9))
    for fold, (number, code) in enumerate(kinds):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _wait_until_training(out, fold, child)
        child.send_signal(number)
        assert child.wait(60) == code
    with hold(Workspace(out).lock, "the folder"):
        busy = subprocess.run(command, capture_output=True, text=True)
    assert busy.returncode == 7
    assert f"process {os.getpid()} on" in busy.stderr
    subprocess.run(command, check=True, capture_output=True)
    assert results(out) == results(finished)


def _wait_until_training(out, fold, child):
    job = Workspace(out).job("3d_fullres", fold)
    deadline = time.monotonic() + 90
    while not (job.path / ".lock.owner").exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)


def test_two_processes_share_the_jobs_of_one_run(finished, source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    with pipeline.opened(out, source, quick.SETTINGS) as row:
        assert row.preprocess
    command = [sys.executable, "-m", "autoseg", "train", str(out)]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        _, log = worker.communicate(timeout=180)
        assert worker.returncode == 0, log
    for fold in (0, 1):
        weights = Workspace(out).job("3d_fullres", fold).weights
        assert records.file_digest(weights) == records.file_digest(Workspace(finished).job("3d_fullres", fold).weights)


def test_torchrun_trains_one_job_in_two_processes(finished, source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    with pipeline.opened(out, source, quick.SETTINGS) as row:
        assert row.preprocess
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*together, "-m", "autoseg", "train", str(out), "--configuration", "3d_fullres", "--fold", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("3d_fullres/fold_0:") == 1  # the leader's alone
    jobs = [Workspace(folder).job("3d_fullres", 0) for folder in (out, finished)]
    ours, theirs = (safetensors.torch.load_file(job.weights) for job in jobs)
    difference = torch.cat([(ours[name] - theirs[name]).flatten() for name in ours]).norm()
    # Padded voxels weigh a little differently in parts of a batch, and adaptive steps make more of it.
    assert difference < 0.1 * torch.cat([value.flatten() for value in theirs.values()]).norm()
    one, other = (records.read(job.record, TrainedModel) for job in jobs)
    assert one.steps == other.steps
    assert one.curve[-1].loss == pytest.approx(other.curve[-1].loss, abs=0.05)


def test_another_gpu_is_a_process_that_trains_some_of_the_jobs(finished, source, tmp_path, monkeypatch):
    monkeypatch.setattr(crew.device, "others", lambda name: ("7",))  # the process will find no GPU and use the CPU
    out = quick.prepare(tmp_path / "out")
    pipeline.run(source, out, quick.SETTINGS)
    assert results(out) == results(finished)
    assert "fold_" in (out / "events" / "gpu_7.log").read_text()
    logs = [log.read_text() for log in (out / "events").glob("*.jsonl")]
    assert sum('"stage":"train 3d_fullres/fold_' in log for log in logs) == 2


def test_the_holdout_changes_nothing_but_its_own_score(finished, source, tmp_path):
    copied = tmp_path / "source"
    shutil.copytree(source, copied)
    with pipeline.opened(finished) as row:
        held_out = row.dataset.split.holdout
    generator = np.random.default_rng(0)
    for case in held_out:
        for folder, voxels in (("imagesTr", generator.normal(50, 30, PHANTOM_SHAPE[::-1])), ("labelsTr", None)):
            path = copied / folder / f"{case}.nii.gz"
            image = nibabel.load(path)
            changed = np.flip(np.asarray(image.dataobj), 0).copy() if voxels is None else voxels.astype(np.float32)
            nibabel.Nifti1Image(changed, image.affine).to_filename(path)
    out = quick.prepare(tmp_path / "out")
    pipeline.run(copied, out, quick.SETTINGS)
    for stage, kind in (("fingerprint", Fingerprint), ("plan", Plan), ("select", Selection)):
        one, other = (records.read(Workspace(folder).record(stage), kind) for folder in (finished, out))
        assert one.model_copy(update={"provenance": None}) == other.model_copy(
            update={"provenance": None, "parents": one.parents}
        )
    weights = [{k: v for k, v in results(folder).items() if k.startswith("model")} for folder in (finished, out)]
    assert weights[0] == weights[1]
    scores = [records.read(Workspace(folder).record("predict"), Prediction).holdout for folder in (finished, out)]
    assert scores[0] != scores[1]


@pytest.mark.fault(59, "one file edited after preparing", "with --keep-plan only that case is done again")
def test_a_changed_case_is_named_and_redone_only_on_request(source, tmp_path):
    copied, settings = tmp_path / "source", quick.SETTINGS
    shutil.copytree(source, copied)
    out = quick.prepare(tmp_path / "out")
    with pipeline.opened(out, copied, settings) as row:
        development = row.dataset.development
        assert row.preprocess
    path = copied / "imagesTr" / f"{development[0]}.nii.gz"
    image = nibabel.load(path)
    nibabel.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine).to_filename(path)
    for _ in range(2):  # a refused change stays a change
        with pytest.raises(ChangedInputs, match=development[0]), pipeline.opened(out, copied, settings) as row:
            assert row.preprocess
    kept = Workspace(out).prepared.image("3d_fullres", development[1])
    before = kept.stat().st_mtime_ns
    with pipeline.opened(out, copied, settings, redo="keep-plan") as row:
        assert row.preprocess
    assert kept.stat().st_mtime_ns == before
    with pipeline.opened(out, copied, settings) as row:
        assert row.dataset.case(development[0])


@pytest.mark.parametrize("kind", ["regions", "ignore"])
def test_regions_and_ignored_voxels_through_the_whole_row(kind, tmp_path):
    phantoms.write_nnunet(tmp_path / "source", cases=6, shape=PHANTOM_SHAPE, kind=kind)
    out = quick.prepare(tmp_path / "out")
    pipeline.run(tmp_path / "source", out, quick.SETTINGS)
    prediction = records.read(Workspace(out).record("predict"), Prediction)
    names = {"regions": ["whole", "core"], "ignore": ["organ", "lesion"]}[kind]
    assert [summary.target for summary in prediction.holdout.targets] == names
    assert prediction.holdout.targets[0].dice.value > BETTER_THAN_CHANCE
    for mask in (out / "predict").glob("*.nii.gz"):
        assert set(np.unique(np.asarray(nibabel.load(mask).dataobj))) <= {0, 1, 2}  # never the ignore value


def test_flat_pictures_without_json_through_the_whole_row(tmp_path):
    from PIL import Image

    phantoms.write_pairs(tmp_path / "source", cases=6, size=(32, 40))
    out = quick.prepare(tmp_path / "out")
    report = autoseg_run(tmp_path / "source", out)
    assert report.honest_kind == "holdout"
    assert report.honest_mean_dice.value > BETTER_THAN_CHANCE
    masks = list((out / "predict").glob("*.png"))
    assert len(masks) == 2
    for mask in masks:
        with Image.open(mask) as picture:
            assert picture.size == (40, 32)
            assert set(np.unique(np.asarray(picture))) <= {0, 255}


def test_cases_in_different_planes_through_the_whole_row(tmp_path):
    source, other = tmp_path / "source", tmp_path / "other"
    phantoms.write_msd(source, cases=6, shape=(8, 24, 24), spacing_mm=(3.0, 1.0, 1.0))
    phantoms.write_msd(other, cases=6, shape=(24, 24, 8), spacing_mm=(1.0, 1.0, 3.0))
    for part in ("imagesTr", "labelsTr"):
        for number in (1, 3, 5):
            shutil.copy(other / part / f"phantom_{number:03d}.nii.gz", source / part)
    out = quick.prepare(tmp_path / "out")
    report = pipeline.run(source, out, quick.SETTINGS)
    plan = records.read(Workspace(out).record("plan"), Plan)
    assert {configuration.axes for configuration in plan.configurations} == {None}
    assert plan.configurations[0].median_shape_vox == (8, 24, 24)
    assert report.honest_mean_dice.value > BETTER_THAN_CHANCE
    for mask in (out / "predict").glob("*.nii.gz"):
        made, image = nibabel.load(mask), nibabel.load(source / "imagesTr" / mask.name)
        assert made.shape == image.shape
        assert np.array_equal(made.affine, image.affine)


@pytest.mark.fault(60, "a hand-edited plan", "checked; legal edits are told and kept, others refused")
def test_an_edited_plan_is_checked_said_aloud_and_kept(source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    with pipeline.opened(out, source, quick.SETTINGS) as row:
        made = row.plan
    record = Workspace(out).record("plan")
    patch = f'"batch": {made.configurations[0].training.batch}'
    record.write_text(record.read_text().replace(patch, '"batch": 1'))
    said = []
    with pipeline.opened(out, notify=lambda event: said.append(event.detail)) as row:
        assert row.plan.configurations[0].training.batch == 1
        assert records.digest(row.plan) != records.digest(made)
    assert any("training.batch: 2 -> 1" in detail for detail in said)
    record.write_text(record.read_text().replace('"batch": 1', '"batch": 0'))
    with pytest.raises(InvalidPlan, match="expected 1 or more"), pipeline.opened(out) as row:
        _ = row.plan


def test_a_cascade_across_another_axis_through_the_whole_row(tmp_path):
    phantoms.write_msd(tmp_path / "source", cases=6, shape=(32, 32, 12), spacing_mm=(1.0, 1.0, 2.5))
    settings = quick.SETTINGS.model_copy(update={"planner": "nnunet", "device_gb": 0.004, "hours": 0.02})
    out = quick.prepare(tmp_path / "out", settings, flops_per_s=1e11)
    report = pipeline.run(tmp_path / "source", out, settings)
    plan = records.read(Workspace(out).record("plan"), Plan)
    names = ("3d_fullres", "3d_lowres", "2d", "3d_cascade_fullres")
    assert {c.name: c.axes for c in plan.configurations} == dict.fromkeys(names, (2, 0, 1))
    validation = records.read(Workspace(out).record("crossvalidate"), Validation)
    assert all(c.oof.mean_dice.value > BETTER_THAN_CHANCE for c in validation.configurations)
    assert report.honest_mean_dice.value > BETTER_THAN_CHANCE


def autoseg_run(source, out):
    return pipeline.run(source, out, quick.SETTINGS)


def test_one_case_alone_trains_and_says_that_nothing_is_known(tmp_path):
    phantoms.write_msd(tmp_path / "source", cases=1, shape=PHANTOM_SHAPE)
    settings = quick.SETTINGS.model_copy(update={"holdout": 0.0})
    out = quick.prepare(tmp_path / "out", settings)
    report = pipeline.run(tmp_path / "source", out, settings)
    assert report.honest_kind == "none"
    assert report.honest_mean_dice.value is None


def test_the_model_alone_works_elsewhere_and_in_another_process(finished, source, tmp_path):
    shutil.copytree(finished / "model", tmp_path / "model")
    held_out = sorted((finished / "predict").glob("*.nii.gz"))
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
        for mask in held_out:
            shutil.copy(source / folder / mask.name, tmp_path / folder)
    command = [sys.executable, "-m", "autoseg", "predict", "model", "imagesTr", "masks", "--device", "cpu"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    for mask in held_out:
        assert np.array_equal(nibabel.load(mask).dataobj, nibabel.load(tmp_path / "masks" / mask.name).dataobj)
    scored = subprocess.run(
        [sys.executable, "-m", "autoseg", "evaluate", "masks", "labelsTr"], capture_output=True, text=True, cwd=tmp_path
    )
    assert scored.returncode == 0, scored.stderr
    assert "Dice" in scored.stdout or "dice" in scored.stdout


def test_arrays_can_be_predicted_in_python(finished, source):
    name = next((finished / "predict").glob("*.nii.gz")).name
    image = np.asarray(nibabel.load(source / "imagesTr" / name).dataobj).T
    model = autoseg.load(finished / "model", device="cpu")
    mask = model.predict(image, spacing_mm=(1.0, 1.0, 1.0), orientation="LPS")
    assert np.array_equal(mask, np.asarray(nibabel.load(finished / "predict" / name).dataobj).T)
