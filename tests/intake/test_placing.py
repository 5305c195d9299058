"""Labels and channels that lie beside, across or elsewhere from their image."""

import numpy as np
import pytest
from PIL import Image

from autoseg.contracts import Settings
from autoseg.phantoms import write_nnunet
from autoseg.stages import dataset as stage
from tests.intake.whole import entry, run, stored
from tests.made import ball, nifti, noise

SHAPE = (12, 10, 8)


def affine(origin=(0, 0, 0), scale=(1.0, 1.0, 1.0)):
    """LPS axes, as in ``tests.made``; origin in mm along the file's axes."""
    made = np.diag([-scale[0], -scale[1], scale[2], 1.0])
    made[:3, 3] = np.array(origin) * (-1, -1, 1)
    return made


def relabel(source, made, label=None, case="case_0"):
    nifti(source / "masks" / f"{case}.nii.gz", ball() if label is None else label, made)


@pytest.mark.fault(16, "origin and direction differ by rounding", "accepted without a word")
@pytest.mark.parametrize("offset", [1e-6, 9e-4])
def test_rounding_is_silent(source, out, offset):
    relabel(source, affine((0, offset, 0)))
    found = entry(run(source, out), "case_0")
    assert (found.verdict, found.reason) == ("ok", "")


@pytest.mark.fault(
    15, "voxel sizes that differ by noise", "accepted, or taken by index with the extent's voxels stated"
)
def test_noise_in_the_spacing(source, out):
    relabel(source, affine(scale=(1 + 5e-5, 1.0, 1.0)))
    assert entry(run(source, out), "case_0").verdict == "ok"
    relabel(source, affine(scale=(1.004, 1.0, 1.0)))
    found = entry(run(source, out), "case_0")
    assert (found.verdict, found.repair) == ("repaired", "taken by index")
    assert "another size by 0.40%, 0.044 voxel over the extent" in found.reason


@pytest.mark.fault(15, "a label of the image's shape with other voxel sizes", "quarantined, with both sizes")
def test_other_voxel_sizes(source, out):
    relabel(source, affine(scale=(1.3, 1.3, 1.3)))
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "at 1.3 x 1.3 x 1.3 mm" in found.reason
    assert "at 1 x 1 x 1 mm" in found.reason


@pytest.mark.parametrize(("offset", "verdict"), [(0.49, "repaired"), (0.6, "quarantined")])
def test_half_a_voxel_is_the_limit(source, out, offset, verdict):
    relabel(source, affine((0, 0, offset)))
    found = entry(run(source, out), "case_0")
    assert found.verdict == verdict
    assert f"{offset} voxel" in found.reason


@pytest.mark.fault(14, "a label on another grid of the same space", "resampled onto the image's grid, and recorded")
def test_another_grid_of_the_same_space(source, out):
    fine = np.repeat(np.repeat(np.repeat(ball(), 2, 0), 2, 1), 2, 2)
    relabel(source, affine((-0.25, -0.25, -0.25), (0.5, 0.5, 0.5)), fine)
    found = entry(run(source, out), "case_0")
    assert found.verdict == "repaired"
    assert "nearest neighbour" in found.repair
    assert np.array_equal(stored(out, "case_0")[1], ball().T)


@pytest.mark.fault(14, "a label of another shape and place", "quarantined with both shapes")
def test_another_shape_and_place(source, out):
    relabel(source, affine((5, 0, 0)), np.zeros((30, 10, 8), np.uint8))
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "shape (8, 10, 30)" in found.reason
    assert "shape (8, 10, 12)" in found.reason
    assert "--trust-grid" not in found.reason  # nothing to take by index


@pytest.mark.fault(17, "origin off by many millimetres", "quarantined with numbers, the likeliest cause and a picture")
def test_a_label_elsewhere(source, out):
    relabel(source, affine((100, 0, 0)))
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "corners 100 voxels off, overlap 0.0%" in found.reason
    assert "it would fit (0 voxel off) if its first voxel lay where the image's lies" in found.reason
    assert "add --trust-grid" in found.reason
    assert "see dataset/quarantine/case_0.png" in found.reason
    with Image.open(out.misplaced("case_0")) as picture:
        pixels = np.array(picture)
    left, right = np.split(pixels, 2, axis=1)
    red = np.array([255, 60, 60])
    assert not (left == red).all(axis=-1).any()  # by its header it lies outside
    assert (right == red).all(axis=-1).any()  # by index it would lie inside


@pytest.mark.fault(17, "an axis reversed in the label's header only", "quarantined; says which axis, and --trust-grid")
def test_a_reversed_axis(source, out):
    flipped = affine()
    flipped[1] *= -1
    relabel(source, flipped)
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "if its y axis ran the other way" in found.reason
    made = run(source, out, trust_grid=True)
    assert entry(made, "case_0").verdict == "repaired"
    assert "--trust-grid" in entry(made, "case_0").repair
    assert np.array_equal(stored(out, "case_0")[1], ball().T)


def test_a_picture_that_cannot_be_drawn_stops_nobody(source, out, monkeypatch):
    def broken(*arguments):
        raise OSError("no room")

    monkeypatch.setattr("autoseg.intake.picture.draw", broken)
    relabel(source, affine((100, 0, 0)))
    made = run(source, out)
    assert entry(made, "case_0").verdict == "quarantined"
    assert entry(made, "case_1").verdict == "ok"


def test_inspect_draws_nothing(source, tmp_path):
    relabel(source, affine((100, 0, 0)))
    before = sorted(tmp_path.rglob("*"))
    made, _ = stage.inspect(source, Settings())
    assert entry(made, "case_0").verdict == "quarantined"
    assert ".png" not in entry(made, "case_0").reason
    assert sorted(tmp_path.rglob("*")) == before


def test_pictures_of_an_earlier_look_go_away(source, out):
    relabel(source, affine((100, 0, 0)))
    run(source, out)
    relabel(source, affine())
    run(source, out)
    assert not out.misplaced("case_0").exists()


# ------------------------------------------------------------------------------------------------------ channels


def two_channels(root, cases=6):
    write_nnunet(root, cases, channels=2)
    return root


@pytest.mark.fault(41, "a channel on another grid", "resampled onto the grid on which the label lies, and recorded")
def test_a_channel_on_another_grid(tmp_path, out):
    source = two_channels(tmp_path / "data")
    coarse = noise(1, (12, 14, 10))
    nifti(source / "imagesTr" / "phantom_002_0001.nii.gz", coarse, affine((0.5, 0.5, 0.5), (2.0, 2.0, 2.0)))
    made = run(source, out)
    found = entry(made, "phantom_002")
    assert found.verdict == "repaired"
    assert "channel file imagesTr/phantom_002_0001.nii.gz lies on another grid" in found.reason
    assert "linear interpolation" in found.repair
    assert stored(out, "phantom_002")[0].shape == (2, 20, 28, 24)


@pytest.mark.fault(41, "the label lies on the grid of a later channel", "that grid counts, the others are resampled")
def test_the_label_chooses_the_grid(tmp_path, out):
    source = two_channels(tmp_path / "data")
    nifti(source / "imagesTr" / "phantom_002_0000.nii.gz", noise(1, (12, 14, 10)), affine((0.5,) * 3, (2.0,) * 3))
    made = run(source, out)
    assert made.case("phantom_002").reference == 1
    assert "brought onto that grid" in entry(made, "phantom_002").repair
    assert stored(out, "phantom_002")[1].shape == (20, 28, 24)
    assert made.case("phantom_001").reference == 0


@pytest.mark.fault(41, "a channel of another place", "quarantined with the overlap")
def test_a_channel_elsewhere(tmp_path, out):
    source = two_channels(tmp_path / "data")
    nifti(source / "imagesTr" / "phantom_002_0001.nii.gz", noise(1, (24, 28, 20)), affine((9, 0, 0)))
    found = entry(run(source, out), "phantom_002")
    assert found.verdict == "quarantined"
    assert "overlap 45.5%" in found.reason
    assert "register the channels" in found.reason


@pytest.mark.fault(38, "a case with more channels than the others", "quarantined; says how many were expected")
def test_an_odd_number_of_channels(source, out):
    nifti(source / "images" / "case_4.nii.gz", np.stack([noise(), noise(1)], -1))
    found = entry(run(source, out, axis4="channel"), "case_4")
    assert (found.verdict, "has 2 channels; expected 1" in found.reason) == ("quarantined", True)


@pytest.mark.fault(39, "a case without one of its channel files", "quarantined; names the files that are there")
def test_a_missing_channel(tmp_path, out):
    source = two_channels(tmp_path / "data")
    (source / "imagesTr" / "phantom_003_0001.nii.gz").unlink()
    found = entry(run(source, out), "phantom_003")
    assert found.verdict == "quarantined"
    assert "1 channels in imagesTr/phantom_003_0000.nii.gz; expected 2" in found.reason


@pytest.mark.fault(40, "channels exchanged in one case", "told: channel 0 looks like channel 1; nothing is changed")
def test_exchanged_channels_are_flagged(tmp_path, out):
    source = two_channels(tmp_path / "data", 8)
    for n in range(8):
        bright = np.square(noise(n, (24, 28, 20))) * np.float32(0.1)
        bright[::3] = 0
        nifti(source / "imagesTr" / f"phantom_00{n}_0001.nii.gz", bright)
    first, second = (source / "imagesTr" / f"phantom_005_000{c}.nii.gz" for c in (0, 1))
    first.rename(source / "held")
    second.rename(first)
    (source / "held").rename(second)
    made = run(source, out)
    assert "channel 0 (T1) looks like channel 1 (T2) of the other cases" in entry(made, "phantom_005").reason
    assert entry(made, "phantom_005").verdict == "ok"
    assert not any("swapped" in item.reason for item in made.audit.entries if item.case != "phantom_005")


@pytest.mark.fault(
    37, "a mask drawn on a picture as it is stored, against its EXIF tag", "quarantined, with the likely cause"
)
def test_a_mask_that_was_not_turned(tmp_path, out):
    grey = np.random.default_rng(0).integers(0, 255, (6, 40, 48), dtype=np.uint8)
    tags = Image.Exif()
    tags[0x0112] = 6
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for number, picture in enumerate(grey):
        turned = {"exif": tags} if number in (2, 3) else {}
        Image.fromarray(picture).save(tmp_path / "images" / f"p{number}.jpg", **turned)
        mask = 255 * (ball(shape=(40, 48)))
        Image.fromarray(mask.T if number == 3 else mask).save(tmp_path / "masks" / f"p{number}.png")
    made = run(tmp_path, out)
    assert entry(made, "p2").verdict == "quarantined"
    assert "(1, 40, 48), the image (1, 48, 40) (they would fit if one were turned by 90" in entry(made, "p2").reason
    assert "turned upright, as its EXIF orientation 6 says" in entry(made, "p3").reason


@pytest.mark.fault(26, "one slice in every case", "plane images: two-dimensional")
def test_single_slices_are_planes(tmp_path, out):
    for number in range(3):
        nifti(tmp_path / "images" / f"c{number}.nii.gz", noise(number, (32, 30, 1)))
        nifti(tmp_path / "masks" / f"c{number}.nii.gz", ball(shape=(32, 30))[..., None])
    assert run(tmp_path, out).dimension == 2


@pytest.mark.fault(26, "one slice in one case among volumes", "kept as a thin volume, and pointed out")
def test_a_single_slice_among_volumes(source, out):
    nifti(source / "images" / "case_2.nii.gz", noise(2, (12, 10, 1)))
    nifti(source / "masks" / "case_2.nii.gz", ball(shape=(12, 10))[..., None])
    made = run(source, out)
    assert made.dimension == 3
    assert stored(out, "case_2")[0].shape == (1, 1, 10, 12)
    assert entry(made, "case_2").verdict == "ok"
    assert "outlier" in entry(made, "case_2").kinds


@pytest.mark.fault(
    17, "a label whose voxels are mirrored, under another header", "quarantined; says how it lies in the body"
)
def test_a_mirrored_label_is_explained_by_the_body(source, out):
    image = noise(0)
    image[:6, :5] += 500
    nifti(source / "images" / "case_0.nii.gz", image)
    label = np.zeros(SHAPE, np.uint8)
    label[2:5, 1:4, 2:5] = 1
    relabel(source, affine((0, 0, 40)), label[::-1])
    found = entry(run(source, out), "case_0")
    assert found.verdict == "quarantined"
    assert "mirrored along x, 100% of it lies in the body" in found.reason
    assert "--trust-grid" in found.reason
