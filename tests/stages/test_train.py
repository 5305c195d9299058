import os
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from autoseg import records
from autoseg.contracts import (
    Audit,
    Case,
    Channel,
    Dataset,
    Label,
    LabelSet,
    Prepared,
    PreparedCase,
    PreparedConfiguration,
    Region,
    Split,
)
from autoseg.errors import DataError, Interrupted, UnreadableFile, UsageError
from autoseg.job import Job
from autoseg.job_cases import JobCases
from autoseg.outoffold import read_cropped, read_out_of_fold
from autoseg.stages import train as stage
from autoseg.stages.train import clean, train
from autoseg.workspace import JobFolder, PreparedFolder
from planners.contracts import Budget, Configuration, Cost, Normalization, Plan, Reason
from tests.learn.tiny import ball_case, network_plan, training_plan

NAMES = tuple(f"case{i}" for i in range(6))
SHAPE = (10, 12, 14)
SOURCE_SHAPE = (12, 16, 20)
BOX = ((1, 11), (2, 14), (3, 17))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(stage.devices, "prepare", lambda device, deterministic: torch.set_num_threads(1))


def labels(kind):
    names = (Label(name="rim", value=1), Label(name="core", value=2))
    if kind == "exclusive":
        return LabelSet(labels=names)
    regions = (Region(name="whole", members=(1, 2), writes=1), Region(name="core", members=(2,), writes=2))
    return LabelSet(kind="regions", labels=names, regions=regions)


def job(kind="exclusive", dimension=3, **changes):
    known = labels(kind)
    network = network_plan(dimension, heads=known.heads)
    configuration = Configuration(
        name="2d" if dimension == 2 else "3d_fullres",
        dimension=dimension,
        spacing_mm=(1.0, 1.0, 1.0),
        median_shape_vox=SHAPE,
        normalization=(Normalization(channel="MR", scheme="zscore"),),
        network=network,
        training=training_plan(dimension, **({"steps": 6} | changes)),
        cost=Cost(memory_bytes=1, step_s=1.0, fold_training_s=1.0, case_inference_s=1.0),
    )
    plan = Plan(
        planner="test",
        configurations=(configuration,),
        reasons=(Reason(rule="r", saw="s", chose="c", because="b", source="s"),),
        predicted_hours=1.0,
    )
    budget = Budget(
        device="cpu",
        device_name="cpu",
        cores=1,
        memory_bytes=10**9,
        ram_bytes=10**9,
        disk_bytes=10**9,
        precision="fp32",
        throughputs=(),
        step_overhead_s=0.0,
        deterministic=True,
    )
    dataset = Dataset(
        layout="test",
        dimension=3,
        channels=(Channel(name="MR"),),
        labels=known,
        cases=tuple(Case(case=name, subject=name, images=("i",), label="l") for name in NAMES),
        contents=(),
        split=Split(holdout=NAMES[5:], folds=(NAMES[:2], NAMES[2:5]), seed=0, because="test"),
        audit=Audit(entries=()),
    )
    cases = tuple(
        PreparedCase(
            case=name,
            source_shape=SOURCE_SHAPE,
            source_spacing_mm=(1.0, 1.0, 1.0),
            crop_box=BOX,
            shape=SHAPE,
            spacing_mm=(1.0, 1.0, 1.0),
        )
        for name in NAMES[:5]
    )
    prepared = Prepared(configurations=(PreparedConfiguration(configuration=configuration.name, cases=cases, bytes=1),))
    return Job(plan, budget, dataset, prepared, configuration.name, fold=0, seed=1)


@pytest.fixture
def folder(tmp_path):
    return prepared_cases(tmp_path / "preprocess")


def prepared_cases(path):
    """The prepared cases; those of fold 0 and of the hold-out have no label file, so that nothing can train on them."""
    prepared = PreparedFolder(path)
    for index, name in enumerate(NAMES):
        image, inside = ball_case(index, SHAPE)
        inside[image[0] > 2.2] *= 2
        for configuration in ("2d", "3d_fullres"):
            prepared.image(configuration, name).parent.mkdir(parents=True, exist_ok=True)
            np.save(prepared.image(configuration, name), image)
            if name in NAMES[2:5]:
                np.save(prepared.label(configuration, name), inside)
    return prepared


@pytest.fixture
def out(tmp_path):
    return JobFolder(tmp_path / "train" / "3d_fullres" / "fold_0")


@pytest.mark.parametrize(("kind", "dimension"), [("exclusive", 3), ("regions", 3), ("exclusive", 2)])
def test_a_job_leaves_weights_and_the_predictions_of_its_fold(folder, out, kind, dimension):
    events = []
    model = train(job(kind, dimension), folder, out, notify=events.append)
    assert model.steps == model.planned_steps == 6
    assert model.out_of_fold == NAMES[:2]
    assert model.weights == records.file_digest(out.weights)
    assert all(torch.isfinite(value).all() for value in safetensors.torch.load_file(out.weights).values())
    assert len(model.curve) == 6
    assert model.peak_memory_bytes is None or model.peak_memory_bytes > 10**7
    assert {event.unit for event in events} == {"step", "validation case"}
    assert sorted(path.name for path in (out.path / "oof").iterdir()) == ["case0.npz", "case1.npz"]
    probabilities = read_out_of_fold(out.out_of_fold("case0"), SOURCE_SHAPE, kind)
    assert probabilities.shape == (3 if kind == "exclusive" else 2, *SOURCE_SHAPE)
    assert all(
        low >= b[0] and high <= b[1]
        for (low, high), b in zip(read_cropped(out.out_of_fold("case0")).box, BOX, strict=True)
    )
    if kind == "exclusive":
        np.testing.assert_allclose(probabilities.sum(0), 1, atol=0.005)


def test_training_never_asks_for_validation_or_holdout_cases(folder):
    source = JobCases(job(), folder).source
    assert source.cases == NAMES[2:5]
    for case in (*NAMES[:2], NAMES[5]):
        with pytest.raises(RuntimeError, match=f"{case} must not be trained on"):
            source.shape(case)


def test_cases_that_watch_are_taken_from_the_training_part_and_never_trained_on(folder, out):
    watched = job(steps=25, monitor_cases=1)
    (name,) = watched.monitors
    assert name in NAMES[2:5]
    assert set(watched.training) == set(NAMES[2:5]) - {name}
    with pytest.raises(RuntimeError, match=f"{name} must not be trained on"):
        JobCases(watched, folder).source.shape(name)
    model = train(watched, folder, out)
    assert model.monitors == (name,)
    assert [point.step for point in model.monitored] == list(range(1, 25))
    assert all(0.0 <= point.dice <= 1.0 for point in model.monitored)


def test_cases_that_watch_are_whole_subjects(folder):
    watched = job(monitor_cases=1)
    siblings = tuple(case.model_copy(update={"subject": "one"}) for case in watched.dataset.cases)
    together = replace(watched, dataset=watched.dataset.model_copy(update={"cases": siblings}))
    assert together.monitors == ()  # the last subject is left to be trained on
    assert job().monitors == ()


def test_interrupted_jobs_go_on_to_the_same_weights(folder, out, tmp_path):
    def stop(event):
        if event.unit == "step" and event.done == 4:
            raise Interrupted("stop")

    with pytest.raises(Interrupted):
        train(job(), folder, out, notify=stop)
    assert (out.checkpoint / "latest").exists()
    assert not out.weights.exists()
    steps = []
    resumed = train(job(), folder, out, notify=lambda event: steps.append(event.done))
    assert steps[:2] == [5, 6]
    unbroken = train(job(), folder, JobFolder(tmp_path / "other"))
    assert resumed.weights == unbroken.weights


def test_a_job_that_need_not_be_repeatable_is_tuned_and_its_record_says_how(folder, out):
    repeatable = job()
    tuned = replace(repeatable, budget=repeatable.budget.model_copy(update={"deterministic": False}))
    notes = []
    made = train(tuned, folder, out, notify=lambda event: notes.append(event.detail) if event.what == "note" else None)
    assert notes == [made.execution]
    assert made.execution.startswith("channels last in memory (the rule for this device")
    assert train(repeatable, folder, out).execution == made.execution  # done already: nothing is trained again


def test_a_run_that_was_planned_for_a_gpu_says_so_where_there_is_none(folder, out):
    here = job()
    budget = here.budget.model_copy(update={"device": "cuda:99", "device_name": "GPU of elsewhere"})
    with pytest.raises(UsageError, match=r"cuda:99.* planned for GPU of elsewhere.* with --device and --replan"):
        train(replace(here, budget=budget), folder, out)


def test_a_cut_checkpoint_falls_back_to_the_one_before(folder, out):
    for step in (2, 4):
        with pytest.raises(Interrupted):
            train(job(), folder, out, notify=_stop_at(step))
    latest = out.checkpoint / "latest"
    os.truncate(latest, latest.stat().st_size // 2)
    steps = []
    train(job(), folder, out, notify=lambda event: steps.append(event.done))
    assert steps[0] == 3


def _stop_at(step):
    def notify(event):
        if event.unit == "step" and event.done == step:
            raise Interrupted("stop")

    return notify


def test_predictions_that_stand_are_kept_unless_the_weights_changed(folder, out):
    train(job(), folder, out)
    before = out.out_of_fold("case0").stat().st_mtime_ns
    out.out_of_fold("case1").unlink()
    train(job(), folder, out)  # from the final checkpoint: nothing is trained again
    assert out.out_of_fold("case0").stat().st_mtime_ns == before
    assert out.out_of_fold("case1").exists()
    train(replace(job(), seed=2), folder, out)
    assert out.out_of_fold("case0").stat().st_mtime_ns > before
    clean(out)
    assert not out.checkpoint.exists()


def test_the_time_limit_of_the_job_wins(folder, out):
    model = train(replace(job(steps=10**6), seconds=0.3), folder, out)
    assert model.steps < model.planned_steps == 10**6


def test_a_missing_or_damaged_prepared_case_is_named(folder, out):
    path = folder.image("3d_fullres", "case3")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableFile, match=r"case3_image\.npy"):
        train(job(steps=30), folder, out)
    with pytest.raises(DataError, match="case5 is not prepared"):
        job().geometry("case5")
