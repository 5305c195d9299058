"""Values in masks: labels, strays, colours, backgrounds, and images in their place."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from autoseg import formats
from autoseg.errors import DataError, LabelError
from autoseg.intake.values import judge, sort_declared, sort_out, tally
from autoseg.labelling import as_whole_numbers, count_values, to_classes
from autoseg.phantoms import write_msd, write_nnunet
from autoseg.postprocessing import file_values
from tests.intake.whole import entry, notes, run, scan, stored
from tests.made import ball, nifti, noise, png

SIZE = (96, 120)


def disc(inside=255, second=None):
    """A disc of one value, and a square of another."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    mask = np.where(((y - 40) / 30) ** 2 + ((x - 50) / 40) ** 2 < 1, inside, 0).astype(np.uint8)
    if second is not None:
        mask[70:90, 90:115] = second
    return mask


def through_jpeg(mask, quality=75):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def smoothed(mask, factor=3):
    return np.array(Image.fromarray(mask).resize((mask.shape[1] * factor, mask.shape[0] * factor), Image.BILINEAR))


def counted(mask):
    return tally(mask, count_values(mask), "values")


def picture(seed=0, size=SIZE):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def pictures(root, masks):
    for number, mask in enumerate(masks):
        png(root / "images" / f"c{number}.png", picture(number, mask.shape[:2]))
        png(root / "masks" / f"c{number}.png", mask)
    return root


# -------------------------------------------------------------------------------------------------------- strays


def specks(mask, value, count):
    found = mask.copy()
    for number in range(count):
        found[2 + 3 * (number // 30), 2 + 3 * (number % 30)] = value
    return found


@pytest.mark.fault(44, "a few voxels within 10 grey levels of a label", "taken for that label, with their number told")
def test_few_near_strays_snap(tmp_path, out):
    mask = disc(second=128)
    mask[75, 95], mask[78, 100], mask[81, 104] = 130, 126, 130
    made = run(pictures(tmp_path / "data", [disc(second=128)] * 5 + [mask]), out)
    found = entry(made, "c5")
    assert found.verdict == "repaired"
    assert "130 (2 voxels, nearest label 128)" in found.reason
    assert [label.value for label in made.labels.labels] == [128, 255]
    assert np.array_equal(stored(out, "c5")[1], stored(out, "c0")[1])
    assert scan(out, "c5").targets == scan(out, "c0").targets  # measured anew, not guessed
    assert entry(made, "c0").verdict == "ok"


@pytest.mark.fault(44, "a few voxels far from any label's grey level", "quarantined, unless --snap-labels")
def test_a_far_stray_quarantines_unless_asked(tmp_path, out):
    source = pictures(tmp_path / "data", [disc(second=128)] * 5 + [specks(disc(second=128), 233, 4)])
    found = entry(run(source, out), "c5")
    assert found.verdict == "quarantined"
    assert "233 (4 voxels, nearest label 255): more than 10 levels" in found.reason
    assert "--snap-labels" in found.reason
    made = run(source, out, snap_labels=True)
    assert entry(made, "c5").verdict == "repaired"
    assert (stored(out, "c5")[1] == 2).sum() == (stored(out, "c0")[1] == 2).sum() + 4


@pytest.mark.fault(44, "more than 1 % of the voxels are strays", "quarantined, unless --snap-labels")
def test_many_strays_quarantine(tmp_path, out):
    mask = specks(disc(second=128), 3, 200)
    found = entry(run(pictures(tmp_path / "data", [disc(second=128)] * 5 + [mask]), out), "c5")
    assert found.verdict == "quarantined"
    assert "1.7% of the voxels is more than 1%" in found.reason


@pytest.mark.fault(
    44, "masks saved as JPEG", "quarantined and told to save as PNG; --snap-labels takes the nearest label"
)
@pytest.mark.parametrize("quality", [40, 75, 90])
def test_masks_through_jpeg(tmp_path, out, quality):
    clean = disc(second=128)
    source = pictures(tmp_path / "data", [through_jpeg(clean, quality)] * 3)
    with pytest.raises(DataError, match=r"stray values(.|\n)*JPEG(.|\n)*--snap-labels"):
        run(source, out)
    made = run(source, out, snap_labels=True)
    assert [label.value for label in made.labels.labels] in ([128, 255], [127, 255])
    wrong = stored(out, "c0")[1][0] != (clean == 128) + 2 * (clean == 255)
    assert wrong.mean() < 0.01


@pytest.mark.fault(44, "masks resampled linearly", "quarantined; --snap-labels takes the nearest label")
def test_smoothed_masks(tmp_path, out):
    source = pictures(tmp_path / "data", [smoothed(disc())] * 3)
    with pytest.raises(DataError, match="interpolated"):
        run(source, out)
    made = run(source, out, snap_labels=True)
    assert [label.value for label in made.labels.labels] == [255]


@pytest.mark.fault(44, "fractions between labels", "quarantined; --snap-labels rounds them")
def test_fractions_are_rounded_only_on_request(source, out):
    soft = ball(dtype=np.float32)
    soft[5, 2:5, 2:5] = 0.4
    nifti(source / "masks" / "case_0.nii.gz", soft)
    assert "--snap-labels" in entry(run(source, out), "case_0").reason
    run(source, out, snap_labels=True)
    assert np.array_equal(stored(out, "case_0")[1], ball().T)


@pytest.mark.fault(44, "many small labels numbered close together", "labels; never taken for strays of each other")
def test_numbered_labels_are_no_strays(source, out):
    label = np.zeros((12, 10, 8), np.uint8)
    for value in range(1, 41):
        label.ravel()[20 * value : 20 * value + 1 + value // 10] = value
    nifti(source / "masks" / "case_0.nii.gz", label)
    made = run(source, out)
    assert {item.value for item in made.labels.labels} == set(range(1, 41))
    assert all(item.verdict == "ok" for item in made.audit.entries)


def test_a_class_of_specks_in_one_case_is_known_from_the_others(tmp_path, out):
    thin = disc()
    thin[80, 100] = 128  # one voxel here, a square elsewhere
    made = run(pictures(tmp_path / "data", [disc(second=128)] * 4 + [thin]), out)
    assert entry(made, "c4").verdict == "ok"
    assert (stored(out, "c4")[1] == 1).sum() == 1
    assert scan(out, "c4").targets[0].voxels == 1


def test_declared_labels_snap_only_where_they_are_far_apart():
    mask = counted(np.array([[[0, 1, 2, 3]]]))
    assert not sort_declared(mask, [0, 1, 2], "values").nearest
    far = counted(np.array([[[0, 255, 250]]]))
    assert sort_declared(far, [0, 255], "values").nearest == {250: 255}


@pytest.mark.fault(51, "values in a mask that are not declared", "that case is quarantined, each value with its voxels")
def test_an_undeclared_value_quarantines(tmp_path, out):
    write_msd(tmp_path, 6)
    label = np.zeros((24, 28, 20), np.uint8)
    label[2:5, 2:5, 2:5] = 9
    nifti(tmp_path / "labelsTr" / "phantom_000.nii.gz", label)
    made = run(tmp_path, out)
    assert entry(made, "phantom_000").verdict == "quarantined"
    assert "9 (27 voxels)" in entry(made, "phantom_000").reason
    assert "value 9 is not declared, yet occurs in 1 case: phantom_000" in notes(made)


@pytest.mark.fault(51, "a label that is declared and never drawn", "told once for the whole data set")
def test_a_declared_label_without_voxels(tmp_path, out):
    write_msd(tmp_path, 2)
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text())
    content["labels"]["3"] = "spleen"
    path.write_text(json.dumps(content))
    assert "spleen is declared but occurs in no case" in notes(run(tmp_path, out))


def test_sorting_needs_distance():
    mask = counted(disc(second=10)[None])
    assert sort_out([mask], "values").labels == (0, 10, 255)
    assert judge(mask, sort_out([mask], "values"), "values") == ("", None)


# ------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.fault(43, "gaps, negative, huge and 64-bit values", "remapped inside, the same values on output")
@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((1, 3, 7), np.uint8),
        ((127, 255), np.uint8),
        ((-5, 4), np.int16),
        ((70_000, 3), np.int32),
        ((2**40, 2), np.int64),
        ((2**40, 2), np.uint64),
    ],
)
def test_any_whole_values_survive(source, out, values, dtype):
    for n in range(6):
        label = np.zeros((12, 10, 8), dtype)
        for k, value in enumerate(values):
            label[2 + 2 * k : 4 + 2 * k, 2:6, 2:6] = value
        nifti(source / "masks" / f"case_{n}.nii.gz", label)
    made = run(source, out)
    assert [item.value for item in made.labels.labels] == sorted(values)
    classes = stored(out, "case_0")[1]
    assert classes.dtype == np.uint8
    assert np.array_equal(file_values(classes, made.labels), label.T.astype(np.int64))


def test_values_beyond_64_bits_are_refused():
    with pytest.raises(LabelError, match="64 bits"):
        as_whole_numbers(np.array([0, 2**63 + 5], np.uint64))
    with pytest.raises(LabelError, match="64 bits"):
        as_whole_numbers(np.array([0.0, 1e30]))
    large = np.array([0, 2**60 + 1, 2**60 + 2], np.uint64)
    whole = as_whole_numbers(large)[0]
    assert to_classes(whole, class_of_values(count_values(whole))).tolist() == [0, 1, 2]


def class_of_values(counts):
    return {value: k for k, value in enumerate(sorted(counts))}


@pytest.mark.fault(42, "labels stored as floats, almost whole", "rounded and told; whole ones are fine")
def test_floats(source, out):
    nifti(source / "masks" / "case_0.nii.gz", ball(dtype=np.float32))
    nifti(source / "masks" / "case_1.nii.gz", ball(dtype=np.float32) * np.float32(0.9999))
    made = run(source, out)
    assert (entry(made, "case_0").verdict, entry(made, "case_1").verdict) == ("ok", "repaired")


# ------------------------------------------------------------------------------------------------------- colours


RED, GREEN = (255, 0, 0), (0, 160, 0)


def coloured(ground=(0, 0, 0), first=RED, second=GREEN):
    mask = np.empty((*SIZE, 3), np.uint8)
    mask[...] = ground
    mask[10:40, 10:50] = first
    mask[50:80, 60:100] = second
    return mask


@pytest.mark.fault(46, "masks whose classes are colours", "a class per colour; predictions are written in the colours")
def test_colours_become_classes_and_come_back(tmp_path, out):
    source = pictures(tmp_path / "data", [coloured()] * 3)
    made = run(source, out)
    assert made.labels.coding == "rgb"
    assert [label.name for label in made.labels.labels] == ["colour_00a000", "colour_ff0000"]
    assert "#ff0000 colour_ff0000" in notes(made)
    classes = stored(out, "c0")[1]
    written = tmp_path / "predicted.png"
    formats.write_label(written, file_values(classes, made.labels), source / "images" / "c0.png", colours=True)
    assert np.array_equal(np.array(Image.open(written)), coloured())


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".nii.gz", ".nrrd", ".mha"])
def test_colours_are_written_in_every_format(tmp_path, suffix):
    packed = np.array([[[0, 0xFF0000, 0x00A0FF]]])
    like, out = tmp_path / f"image{suffix}", tmp_path / f"mask{suffix}"
    if suffix == ".nii.gz":
        nifti(like, np.zeros((3, 1, 1), np.uint8))
    elif suffix in (".nrrd", ".mha"):
        import SimpleITK

        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((1, 1, 3), np.uint8)), str(like))
    else:
        png(like, np.zeros((1, 3), np.uint8))
    formats.write_label(out, packed, like, colours=True)
    array = formats.read(out, mask=True).array
    assert array[:, 0, 0].T.tolist() == [[0, 0, 0], [255, 0, 0], [0, 160, 255]]


@pytest.mark.fault(
    46, "colour masks with blended borders", "blended colours are strays: snapped if few, else quarantined"
)
def test_blended_colours_are_strays(tmp_path, out):
    blended = coloured()
    blended[10, 10:20] = (249, 3, 3)
    made = run(pictures(tmp_path / "data", [coloured()] * 4 + [blended]), out)
    assert entry(made, "c4").verdict == "repaired"
    assert "#f90303 (10 voxels, nearest label #ff0000)" in entry(made, "c4").reason
    assert np.array_equal(stored(out, "c4")[1], stored(out, "c0")[1])


@pytest.mark.fault(49, "colour masks on white", "the colour around everything is the background, and told")
def test_a_white_background_is_recognised(tmp_path, out):
    made = run(pictures(tmp_path / "data", [coloured(ground=(255, 255, 255))] * 3), out)
    assert made.labels.background_value == 0xFFFFFF
    assert "#ffffff lies around everything else" in notes(made)
    assert stored(out, "c0")[1][0, 0, 0] == 0


def test_black_and_white_masks_among_colours_are_colours_too(tmp_path, out):
    grey = np.zeros((*SIZE, 3), np.uint8)
    made = run(pictures(tmp_path / "data", [coloured()] * 3 + [grey]), out)
    assert "negative example" in entry(made, "c3").reason
    assert stored(out, "c3")[1].max() == 0


# ---------------------------------------------------------------------------------------------------- background


@pytest.mark.fault(49, "the background is not 0", "found as what lies around everything else, and told")
def test_the_background_is_what_lies_around(source, out):
    for path in (source / "masks").iterdir():
        nifti(path, ball() + np.uint8(1))
    made = run(source, out)
    assert (made.labels.background_value, made.labels.labels[0].value) == (1, 2)
    assert np.array_equal(stored(out, "case_0")[1], ball().T)
    assert scan(out, "case_0").foreground[0].count == 27
    assert "1 lies around everything else" in notes(made)


@pytest.mark.fault(49, "nothing tells which value is the background", "exit 3; says how to declare it")
def test_an_ambiguous_background_is_fatal(source, out):
    halves = np.ones((12, 10, 8), np.uint8)
    for number, path in enumerate(sorted((source / "masks").iterdir())):
        halves[:6], halves[6:] = (1, 2) if number % 2 else (2, 1)
        nifti(path, halves)
    with pytest.raises(LabelError, match="background is unknown; declare the labels in a dataset.json"):
        run(source, out)


@pytest.mark.fault(49, "one label that covers the whole image", "kept, and told")
def test_a_label_without_background_is_told(source, out):
    nifti(source / "masks" / "case_0.nii.gz", np.ones((12, 10, 8), np.uint8))
    made = run(source, out)
    assert "covers the whole image" in entry(made, "case_0").reason
    assert stored(out, "case_0")[1].min() == 1


def test_inverted_masks_are_pointed_out(tmp_path, out):
    made = run(pictures(tmp_path / "data", [255 - disc()] * 3), out)
    assert "are they inverted?" in notes(made)


# ------------------------------------------------------------------------------------------------ images as masks


@pytest.mark.fault(45, "an image in place of a label", "quarantined: it looks like an image")
def test_an_image_is_no_mask(source, out):
    nifti(source / "masks" / "case_0.nii.gz", noise(3).astype(np.int16))
    found = entry(run(source, out), "case_0")
    assert (found.verdict, "looks like an image" in found.reason) == ("quarantined", True)
    nifti(source / "masks" / "case_0.nii.gz", noise(3))
    assert "like an image" in entry(run(source, out), "case_0").reason


@pytest.mark.fault(45, "images and masks swapped everywhere", "exit 3; says that they are swapped")
def test_swapped_folders(source, out):
    (source / "images").rename(source / "other")
    (source / "masks").rename(source / "images")
    (source / "other").rename(source / "masks")
    with pytest.raises(DataError, match="image and label are swapped in all 6 cases"):
        run(source, out)


# ------------------------------------------------------------------------------------- what is there, and what not


@pytest.mark.fault(47, "an empty label in one case", "a negative example")
def test_an_empty_label(source, out):
    nifti(source / "masks" / "case_0.nii.gz", np.zeros((12, 10, 8), np.uint8))
    found = entry(run(source, out), "case_0")
    assert (found.verdict, "negative example" in found.reason) == ("ok", True)


@pytest.mark.fault(47, "empty labels in all cases", "exit 3")
def test_nothing_but_empty_labels(source, out):
    for path in (source / "masks").iterdir():
        nifti(path, np.zeros((12, 10, 8), np.uint8))
    with pytest.raises(DataError, match="all 6 labels are empty") as caught:
        run(source, out)
    assert caught.value.exit_code == 3


@pytest.mark.fault(48, "a class in only one case", "told: no model that learns it is tested on it")
def test_a_class_in_one_case_only(source, out):
    label = ball()
    label[8:10, 6:8, 5:7] = 2
    nifti(source / "masks" / "case_0.nii.gz", label)
    assert "label_2 occurs in one subject only (case_0)" in notes(run(source, out))


@pytest.mark.fault(52, "a case in which everything is marked as not annotated", "kept for prediction only, and told")
def test_nothing_annotated(tmp_path, out):
    write_nnunet(tmp_path, 6, kind="ignore")
    nifti(tmp_path / "labelsTr" / "phantom_002.nii.gz", np.full((24, 28, 20), 3, np.uint8))
    made = run(tmp_path, out)
    assert not made.case("phantom_002").labelled
    assert "not annotated" in entry(made, "phantom_002").reason
    assert "phantom_002" not in made.development


@pytest.mark.fault(52, "the ignore value is also a class", "exit 3 before any file is opened")
def test_ignore_must_be_a_value_of_its_own(tmp_path, out):
    write_nnunet(tmp_path, 2, kind="ignore")
    path = tmp_path / "dataset.json"
    content = json.loads(path.read_text())
    content["labels"]["ignore"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match="2"):
        run(tmp_path, out)
