"""What a channel shows, by its name or by its values."""

import numpy as np
import pytest

from autoseg.contracts import CaseScan
from autoseg.intake import modality
from autoseg.intake.scanning import sketch
from tests.real_data import real


def scan(values, shape=(9, 20, 20), known=True):
    values = np.asarray(values)
    return CaseScan(
        case="c",
        content="",
        shape=shape,
        spacing_mm=(1.0, 1.0, 1.0),
        spacing_known=known,
        orientation="LPS",
        nonzero_box=((0, 1),) * 3,
        dtype=values.dtype.name,
        overall=(sketch(values),),
        foreground=(None,),
        label_values=(),
        targets=(),
    )


RNG = np.random.default_rng(0)
BODY = np.concatenate([RNG.normal(-1000, 10, 4000), RNG.normal(40, 30, 6000)])
BRAIN = np.concatenate([RNG.gamma(1, 5, 4000), RNG.normal(500, 90, 6000).clip(100)])
UPTAKE = np.concatenate([RNG.gamma(1, 0.1, 9800), RNG.gamma(2, 5, 200)])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (BODY.astype(np.int16), "ct"),
        (BODY, "ct"),
        ((BODY + 1024).clip(0), "mri"),  # nothing in the values tells that 1024 must be taken off
        (BRAIN.astype(np.uint16), "mri"),
        (BRAIN, "mri"),
        (UPTAKE, "pet"),
        (RNG.integers(0, 3, 5000).astype(np.uint8), "labels"),
        (RNG.normal(0, 1, 5000), "other"),
        (RNG.integers(0, 2000, 5000), "other"),
        (np.full(100, 5), "other"),
    ],
)
def test_by_values(values, expected):
    assert modality.of_channels(["image"], [scan(values)]) == (expected,)


def test_a_plane_without_millimetres_is_a_picture():
    grey = RNG.integers(0, 256, 400).astype(np.uint8)
    assert modality.of_channels(["image"], [scan(grey, (1, 20, 20), known=False)]) == ("picture",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("CT",), ("ct",)),
        (("T1w", "FLAIR"), ("mri", "mri")),
        (("CT", "PET"), ("ct", "pet")),
        (("R", "G", "B"), ("rgb", "rgb", "rgb")),
        (("actor",), ("other",)),
    ],
)
def test_by_name(names, expected):
    several = scan(RNG.integers(0, 2000, 5000)).model_copy(update={"overall": (sketch(RNG.random(9)),) * len(names)})
    assert modality.of_channels(names, [several]) == expected


def test_most_cases_decide():
    cases = [scan(BODY.astype(np.int16))] * 9 + [scan((BODY + 1024).astype(np.int16))] * 2
    assert modality.of_channels(["image"], cases) == ("ct",)


def test_every_guess_has_words_and_planners_hear_four():
    assert {modality.planned(kind) for kind in modality.WORDS} == {"ct", "mri", "rgb", "other"}


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("dicom/sts_rtstruct/nifti/STS_019/CT_image.nii.gz", "ct"),
        ("dicom/sts_rtstruct/nifti/STS_025/PET_image.nii.gz", "pet"),
        ("dicom/sts_rtstruct/nifti/STS_025/CT_mask.nii.gz", "labels"),
        ("ms_four_channels/patient07/T2.nii.gz", "mri"),
        ("ct_many_labels/images", "ct"),
    ],
)
def test_real_images_by_values_alone(path, expected):
    from autoseg.contracts import Case
    from autoseg.intake.examination import Task, examine

    folder, _, rest = path.partition("/")
    file = real(folder) / rest
    file = next(iter(sorted(file.iterdir()))) if file.is_dir() else file
    found = examine(Task(file.parent, Case(case="c", subject="c", images=(file.name,)), None, None, None))
    assert modality.of_channels(["image"], [found.scan]) == (expected,)
