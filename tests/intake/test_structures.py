"""One file per structure, channels per class, files with named structures: into one label set."""

import numpy as np
import pytest

from autoseg import formats
from autoseg.contracts import Label, LabelSet
from autoseg.formats import Structures
from autoseg.intake.merging import natural
from autoseg.intake.structures import combine
from autoseg.volumes.sparse import SparseMask
from tests.intake.whole import entry, notes, one_file_per_structure, run, scan, stored
from tests.made import nifti, noise

SHAPE = (12, 10, 8)


def box(*corners, value=1):
    mask = np.zeros(SHAPE, np.uint8)
    mask[tuple(slice(a, b) for a, b in corners)] = value
    return mask


LIVER = box((1, 9), (1, 9), (1, 7))
TUMOUR = box((3, 6), (3, 6), (3, 6))
SPLEEN = box((9, 12), (1, 5), (1, 5))


def write(root, cases):
    listed = {}
    for number, (name, structures) in enumerate(cases.items()):
        nifti(root / name / "image.nii.gz", noise(number))
        for structure, mask in structures.items():
            nifti(root / name / f"{structure}.nii.gz", mask)
        listed[name] = {structure: f"{name}/{structure}.nii.gz" for structure in structures}
    return listed


def test_combinations_stand_for_any_overlap():
    made = combine(SHAPE, [("a", LIVER > 0), ("b", TUMOUR > 0), ("c", SPLEEN > 0)])
    by_name = {c.structures: c.voxels for c in made.combinations}
    assert by_name == {("a",): 384 - 27, ("a", "b"): 27, ("c",): 3 * 4 * 4}
    assert [target.voxels for target in made.targets] == [384, 27, 48]
    rebuilt = np.isin(made.numbers, [k for k, c in enumerate(made.combinations, 1) if "a" in c.structures])
    assert np.array_equal(rebuilt, LIVER > 0)


def test_one_mask_at_a_time_is_held():
    alive = []

    def one_by_one():
        for number in range(100):
            alive.append(number)
            yield f"s{number}", box((number % 12, number % 12 + 1), (0, 5), (0, 5)) > 0

    made = combine(SHAPE, one_by_one())
    assert len(made.targets) == 100
    assert made.numbers.nbytes == 2 * np.prod(SHAPE)


@pytest.mark.fault(46, "one mask file per structure", "one label set by name; output 1 to n in the order of names")
def test_structures_that_exclude_each_other_become_labels(tmp_path, out, monkeypatch):
    cases = {f"p{n}": {"spleen": SPLEEN, "liver": LIVER} for n in range(3)}
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    made = run(tmp_path, out)
    assert made.labels.kind == "exclusive"
    assert [(label.name, label.value) for label in made.labels.labels] == [("liver", 1), ("spleen", 2)]
    assert np.array_equal(stored(out, "p0")[1], (LIVER + 2 * SPLEEN).T)
    assert [target.voxels for target in scan(out, "p0").targets] == [384, 48]


def test_declared_names_give_the_values(tmp_path, out, monkeypatch):
    declared = LabelSet(labels=(Label(name="spleen", value=4), Label(name="liver", value=9)))
    cases = {f"p{n}": {"spleen": SPLEEN, "liver": LIVER} for n in range(3)}
    one_file_per_structure(monkeypatch, write(tmp_path, cases), declared)
    made = run(tmp_path, out)
    assert made.labels == declared
    assert np.array_equal(stored(out, "p0")[1], (SPLEEN + 2 * LIVER).T)
    assert scan(out, "p0").label_values == (4, 9)


@pytest.mark.fault(46, "a structure inside another one", "both become regions; no voxel of either is lost")
def test_nested_structures_become_regions(tmp_path, out, monkeypatch):
    cases = {f"p{n}": {"tumour": TUMOUR, "liver": LIVER, "spleen": SPLEEN} for n in range(3)}
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    made = run(tmp_path, out)
    assert made.labels.kind == "regions"
    assert made.labels.targets == ("liver", "spleen", "tumour")  # from large to small
    label = stored(out, "p1")[1]
    drawn = {"liver": LIVER, "spleen": SPLEEN, "tumour": TUMOUR}
    for name, members in zip(made.labels.targets, made.labels.members, strict=True):
        assert np.array_equal(np.isin(label, members), (drawn[name] > 0).T)
    values = {item.value for item in made.labels.labels}
    assert [region.writes for region in made.labels.regions] == [1, 2, 3]
    assert {1, 2, 3} <= values
    assert "100.00% of the smaller one" in notes(made)
    assert [target.voxels for target in scan(out, "p1").targets] == [384, 48, 27]


@pytest.mark.fault(46, "structures that touch by a few voxels", "the smaller one keeps them; the overlap is told")
def test_a_negligible_overlap_goes_to_the_smaller(tmp_path, out, monkeypatch):
    large, small = box((0, 7), (0, 10), (0, 8)), box((7, 12), (0, 10), (0, 8))
    small[6, 0, :3] = 1  # 3 of 403 voxels
    cases = {f"p{n}": {"large": large, "small": small} for n in range(3)}
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    made = run(tmp_path, out)
    assert made.labels.kind == "exclusive"
    label = stored(out, "p0")[1]
    assert (label == 2).sum() == 403
    assert (label == 1).sum() == 560 - 3
    assert [target.voxels for target in scan(out, "p0").targets] == [557, 403]
    assert "0.74% of the smaller one (large and small" in notes(made)


def test_a_structure_that_a_case_lacks_is_absent_there_and_told(tmp_path, out, monkeypatch):
    cases = {f"p{n}": {"liver": LIVER, "spleen": SPLEEN} for n in range(3)}
    del cases["p1"]["spleen"]
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    made = run(tmp_path, out)
    assert "has no mask of spleen" in entry(made, "p1").reason
    assert scan(out, "p1").targets[1].voxels == 0
    assert entry(made, "p0").reason == ""
    assert np.array_equal(stored(out, "p1")[1], LIVER.T)


def test_structures_on_another_grid_are_resampled(tmp_path, out, monkeypatch):
    listed = write(tmp_path, {f"p{n}": {"liver": LIVER} for n in range(3)})
    fine = np.repeat(np.repeat(np.repeat(LIVER, 2, 0), 2, 1), 2, 2)
    affine = np.diag([-0.5, -0.5, 0.5, 1.0])
    affine[:3, 3] = (0.25, 0.25, -0.25)
    nifti(tmp_path / "p0" / "liver.nii.gz", fine, affine)
    one_file_per_structure(monkeypatch, listed)
    made = run(tmp_path, out)
    assert (entry(made, "p0").verdict, "resampled" in entry(made, "p0").repair) == ("repaired", True)
    assert np.array_equal(stored(out, "p0")[1], LIVER.T)


@pytest.mark.fault(46, "a structure's file with several values", "quarantined, the values and their voxels listed")
def test_a_structure_file_must_hold_one_structure(tmp_path, out, monkeypatch):
    cases = {f"p{n}": {"liver": LIVER} for n in range(6)}
    cases["p2"]["liver"] = LIVER + TUMOUR
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    found = entry(run(tmp_path, out), "p2")
    assert found.verdict == "quarantined"
    assert "p2/liver.nii.gz" in found.reason
    assert "2 (27 voxels)" in found.reason


def test_strays_in_a_structure_file_snap(tmp_path, out, monkeypatch):
    large = np.zeros((40, 40, 8), np.uint8)
    large[10:30, 10:30] = 255
    large[10, 10, :3] = 250
    listed = {}
    for n in range(3):
        nifti(tmp_path / f"p{n}" / "image.nii.gz", noise(n, large.shape))
        nifti(tmp_path / f"p{n}" / "liver.nii.gz", large)
        listed[f"p{n}"] = {"liver": f"p{n}/liver.nii.gz"}
    one_file_per_structure(monkeypatch, listed)
    made = run(tmp_path, out)
    assert entry(made, "p0").verdict == "repaired"
    assert (stored(out, "p0")[1] == 1).sum() == 20 * 20 * 8


def test_empty_structures_make_a_negative_example(tmp_path, out, monkeypatch):
    cases = {f"p{n}": {"liver": LIVER} for n in range(3)}
    cases["p1"]["liver"] = 0 * LIVER
    one_file_per_structure(monkeypatch, write(tmp_path, cases))
    assert "negative example" in entry(run(tmp_path, out), "p1").reason


def test_masks_of_one_name_are_united():
    overlapping = box((5, 8), (3, 6), (3, 6))
    made = combine(SHAPE, [("nucleus", TUMOUR > 0), ("nucleus", overlapping > 0), ("other", SPLEEN > 0)])
    both = int(((TUMOUR > 0) | (overlapping > 0)).sum())
    assert [(target.name, target.voxels) for target in made.targets] == [("nucleus", both), ("other", 48)]
    assert {c.structures: c.voxels for c in made.combinations} == {("nucleus",): both, ("other",): 48}


def test_names_are_ordered_as_people_count():
    assert sorted(["rib_10", "rib_2", "Liver", "aorta"], key=natural) == ["aorta", "Liver", "rib_2", "rib_10"]


def one_hot(*structures, ground=False):
    channels = [*structures]
    if ground:
        channels.insert(0, (sum(structures) == 0).astype(np.uint8))
    return np.stack(channels, -1)


@pytest.mark.fault(46, "a label with one channel per class", "channels become labels; the background's is recognised")
@pytest.mark.parametrize("ground", [False, True])
def test_one_hot_labels_become_classes(source, out, ground):
    for n in range(6):
        nifti(source / "masks" / f"case_{n}.nii.gz", one_hot(LIVER, SPLEEN, ground=ground))
    made = run(source, out)
    assert [label.value for label in made.labels.labels] == [1, 2]
    assert made.labels.kind == "exclusive"
    assert np.array_equal(stored(out, "case_0")[1], (LIVER + 2 * SPLEEN).T)


@pytest.mark.fault(46, "a label with one channel per class, overlapping", "each channel becomes a region")
def test_overlapping_channels_become_regions(source, out):
    for n in range(6):
        nifti(source / "masks" / f"case_{n}.nii.gz", one_hot(LIVER, TUMOUR))
    made = run(source, out)
    assert made.labels.kind == "regions"
    assert made.labels.targets == ("channel_0", "channel_1")


def test_channels_of_probabilities_are_no_label(source, out):
    soft = one_hot(LIVER, SPLEEN).astype(np.float32) * np.float32(0.3) + noise()[..., None] * np.float32(1e-4)
    nifti(source / "masks" / "case_0.nii.gz", soft)
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "one mask of 0 and 1 per class" in found.reason


def packed(*masks):
    made = tuple(SparseMask(mask.shape) for mask in masks)
    for empty, mask in zip(made, masks, strict=True):
        empty.unite(mask)
    return made


def test_a_file_with_named_structures(source, out, monkeypatch):
    monkeypatch.setattr(formats, "holds_structures", lambda path: path.parent.name == "masks")

    def read_structures(path, like):
        return Structures(
            packed(LIVER.T > 0, SPLEEN.T > 0), like.grid, ("liver", "spleen"), "0" * 64, ("read by position",)
        )

    monkeypatch.setattr(formats, "read_structures", read_structures)
    made = run(source, out)
    assert [label.name for label in made.labels.labels] == ["liver", "spleen"]
    assert "read by position" in entry(made, "case_0").reason
    assert np.array_equal(stored(out, "case_0")[1], (LIVER + 2 * SPLEEN).T)


def test_only_the_wanted_names_of_a_file_are_taken(tmp_path, out, monkeypatch):
    monkeypatch.setattr(formats, "holds_structures", lambda path: path.name == "all.nii.gz")

    def read_structures(path, like):
        return Structures(packed(LIVER.T > 0, SPLEEN.T > 0), like.grid, ("liver", "couch"), "0" * 64)

    monkeypatch.setattr(formats, "read_structures", read_structures)
    write(tmp_path, {f"p{n}": {"all": LIVER, "tumour": SPLEEN} for n in range(3)})
    wanted = {f"p{n}": {"liver": f"p{n}/all.nii.gz", "tumour": f"p{n}/tumour.nii.gz"} for n in range(3)}
    one_file_per_structure(monkeypatch, wanted)
    made = run(tmp_path, out)
    assert [label.name for label in made.labels.labels] == ["liver", "tumour"]
    assert np.array_equal(stored(out, "p0")[1], (LIVER + 2 * SPLEEN).T)


def test_cases_of_values_among_cases_of_structures_are_quarantined(source, out):
    for n in range(5):
        nifti(source / "masks" / f"case_{n}.nii.gz", one_hot(LIVER, SPLEEN))
    found = entry(run(source, out), "case_5")
    assert (found.verdict, "store all alike" in found.reason) == ("quarantined", True)
