import numpy as np

from autoseg.volumes.geometry import Grid, canonical_affine
from autoseg.volumes.misplacement import best_guess, in_the_body

IMAGE = Grid((20, 30, 40), canonical_affine((2.0, 1.0, 1.0)))


def changed(grid, axis=None, move=(0.0, 0.0, 0.0), shape=None):
    affine = grid.affine.copy()
    if axis is not None:
        affine[:, axis] *= -1
    affine[:3, 3] += move
    return Grid(shape or grid.shape, affine)


def test_each_reversed_axis_is_found():
    for axis, name in enumerate("zyx"):
        assert best_guess(IMAGE, changed(IMAGE, axis)).change.startswith(f"its {name} axis")


def test_a_moved_origin_is_found_whatever_the_axis_order():
    turned = Grid((40, 30, 20), IMAGE.affine[:, [2, 1, 0, 3]])
    guess = best_guess(IMAGE, changed(turned, move=(500.0, 0.0, 0.0)))
    assert guess.change.startswith("its first voxel lay")
    assert guess.agreement.kind == "same"


def test_two_faults_at_once_leave_only_the_image_s_header():
    lost = changed(changed(changed(IMAGE, 0), 1), move=(300.0, 0.0, 0.0))
    assert best_guess(IMAGE, lost).change in (
        "its first voxel lay where the image's lies",
        "it had the image's header",
    )


def test_another_body_part_is_no_fault_of_the_header():
    other = Grid((94, 512, 512), np.asarray(canonical_affine((5.0, 0.7, 0.7))))
    assert best_guess(IMAGE, changed(other, move=(-200.0, -300.0, 0.0))) is None


def test_a_label_beside_the_body_tells_how_it_was_mirrored():
    image = np.zeros((8, 10, 12))
    image[1:5, 1:6, 1:5] = 100
    label = np.zeros(image.shape, np.uint8)
    label[2:4, 3:5, 2:4] = 1
    assert in_the_body(image, label).startswith("taken voxel for voxel, 100% of it lies in the body; mirrored along")
    assert in_the_body(image, label[:, :, ::-1]).startswith("mirrored along x, 100% of it lies in the body")
    assert in_the_body(image, 0 * label) == ""
    assert in_the_body(np.ones((8, 10, 12)), label) == ""
    assert in_the_body(image[:, :, ::-1] + image, label) == ""
