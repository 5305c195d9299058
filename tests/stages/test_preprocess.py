import errno

import numpy as np
import pytest

from autoseg import records
from autoseg.contracts import CaseScan
from autoseg.errors import DataError, Interrupted, ResourceError, UnreadableFile
from autoseg.stages.preprocess import preprocess
from planners.contracts import Normalization
from tests.oof_world import SHAPE, make


@pytest.fixture
def world(tmp_path):
    made = make(tmp_path, cases=3, names=("2d", "3d_fullres"), spacing=(2.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    for case in made.truth:
        image = rng.integers(1, 100, (1, *SHAPE)).astype(np.int16)
        image[:, :, :2] = 0
        np.save(made.workspace.dataset.image(case), image)
    return made


def run(world, **options):
    return preprocess(world.dataset, world.plan, world.workspace.dataset, world.workspace.prepared, **options)


def replan(world, **changes):
    """The same world with other choices for the second configuration."""
    flat, full = world.plan.configurations
    world.plan = world.plan.model_copy(update={"configurations": (flat, full.model_copy(update=changes))})


def stamps(world):
    return {path: path.stat().st_mtime_ns for path in world.workspace.prepared.path.rglob("*.npy")}


def made_anew(before, after):
    return sorted(path.parent.name + "/" + path.stem for path in after if before.get(path) != after[path])


def test_a_voxel_is_a_voxel_where_some_files_state_no_size(world):
    """As the deployed model takes them; else some would be resampled to the size that others only seem to have."""
    path = world.workspace.dataset.scan("case_01")
    scan = records.read(path, CaseScan).model_copy(update={"spacing_known": False, "spacing_mm": (1.0, 1.0, 1.0)})
    records.write(path, scan)
    replan(world, spacing_mm=(1.0, 1.0, 1.0))
    _, full = run(world).configurations
    assert {case.shape for case in full.cases} == {(12, 14, 14)}
    assert {case.source_spacing_mm for case in full.cases} == {(1.0, 1.0, 1.0)}


def test_each_case_is_prepared_for_each_configuration(world):
    replan(world, spacing_mm=(1.0, 1.0, 1.0))
    events = []
    found = run(world, notify=events.append)
    assert [c.configuration for c in found.configurations] == ["2d", "3d_fullres"]
    flat, full = (c.cases[0] for c in found.configurations)
    assert full.source_shape == SHAPE
    assert full.crop_box == ((0, 12), (2, 16), (0, 14))
    assert (full.shape, full.spacing_mm) == ((24, 14, 14), (1.0, 1.0, 1.0))
    folder = world.workspace.prepared
    image = np.load(folder.image("3d_fullres", "case_00"))
    label = np.load(folder.label("3d_fullres", "case_00"))
    assert (image.shape, image.dtype) == ((1, 24, 14, 14), np.float32)
    assert (label.shape, label.dtype) == ((24, 14, 14), np.uint8)
    assert set(np.unique(label)) == {0, 1, 2}
    sizes = [path.stat().st_size for path in folder.path.glob("2d/*.npy")]
    assert (len(sizes), sum(sizes)) == (6, found.configurations[0].bytes)
    assert (events[-1].done, events[-1].total) == (6, 6)
    assert not list(folder.path.rglob("*.tmp"))


def test_slices_are_not_resampled_where_the_plan_says_none(world):
    replan(world, spacing_mm=(None, 0.5, 0.5))
    assert run(world).configurations[1].cases[0].shape == (12, 28, 28)


def test_holdout_cases_are_left_alone(world):
    split = world.dataset.split.model_copy(update={"holdout": ("case_01",)})
    world.dataset = world.dataset.model_copy(update={"split": split})
    world.workspace.dataset.image("case_01").unlink()
    assert [case.case for case in run(world).configurations[0].cases] == ["case_00", "case_02"]


def test_nothing_is_done_twice(world):
    first, before = run(world), stamps(world)
    assert run(world) == first
    assert stamps(world) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"spacing_mm": (3.0, 1.0, 1.0)},
        {"normalization": (Normalization(channel="T1", scheme="rescale_to_0_1"),)},
    ],
)
def test_another_choice_redoes_its_configuration_only(world, changes):
    run(world)
    before = stamps(world)
    replan(world, **changes)
    run(world)
    assert {name.split("/")[0] for name in made_anew(before, stamps(world))} == {"3d_fullres"}


def test_another_patch_redoes_nothing(world):
    first, before = run(world), stamps(world)
    training = world.plan.configurations[1].training.model_copy(update={"batch": 7})
    replan(world, training=training)
    assert run(world) == first
    assert stamps(world) == before


def test_changed_content_redoes_its_case_only(world):
    run(world)
    before = stamps(world)
    path = world.workspace.dataset.scan("case_01")
    records.write(path, records.read(path, CaseScan).model_copy(update={"content": "other bytes"}))
    run(world)
    assert made_anew(before, stamps(world)) == [
        "2d/case_01_image", "2d/case_01_label", "3d_fullres/case_01_image", "3d_fullres/case_01_label",
    ]  # fmt: skip


def test_labels_with_another_meaning_redo_everything(world):
    run(world)
    before = stamps(world)
    labels = world.dataset.labels.model_copy(update={"ignore_value": 9})
    world.dataset = world.dataset.model_copy(update={"labels": labels})
    run(world)
    assert len(made_anew(before, stamps(world))) == 12


def test_what_is_lost_or_damaged_is_made_again(world):
    first, before = run(world), stamps(world)
    folder = world.workspace.prepared
    folder.image("2d", "case_00").unlink()
    folder.record("2d", "case_01").write_text("{")
    assert run(world) == first
    redone = ["2d/case_00_image", "2d/case_00_label", "2d/case_01_image", "2d/case_01_label"]
    assert made_anew(before, stamps(world)) == redone


def test_an_interrupted_run_goes_on(world):
    def stop(event):
        if event.done == 2:
            raise Interrupted("stop")

    with pytest.raises(Interrupted):
        run(world, notify=stop)
    before = stamps(world)
    assert len(before) == 4
    run(world)
    assert len(made_anew(before, stamps(world))) == 8


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00"])
def test_a_damaged_volume_is_named(world, content):
    path = world.workspace.dataset.image("case_02")
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="case_02_image.npy: .*run the dataset stage again"):
        run(world)


def test_a_missing_scan_is_named(world):
    world.workspace.dataset.scan("case_00").unlink()
    with pytest.raises(UnreadableFile, match="scan of case case_00"):
        run(world)


def test_image_and_label_must_have_one_shape(world):
    np.save(world.workspace.dataset.label("case_00"), np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(UnreadableFile, match="case_00_label.npy: shape .3, 3, 3."):
        run(world)


def test_an_unfit_image_names_case_and_configuration(world):
    np.save(world.workspace.dataset.image("case_01"), np.ones((2, *SHAPE), np.int16))
    with pytest.raises(DataError, match="case case_01, configuration 2d: .*2 channels, expected 1"):
        run(world)


def test_a_full_disk_is_said_and_leaves_nothing_behind(world, monkeypatch):
    def full(file, array, allow_pickle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(records.np, "save", full)
    with pytest.raises(ResourceError, match="No space left on device; free some space"):
        run(world)
    assert not list(world.workspace.prepared.path.rglob("*.*"))
