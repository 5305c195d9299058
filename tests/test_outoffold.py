import numpy as np
import pytest

from autoseg.errors import DataError, UnreadableFile
from autoseg.outoffold import embed, place, read_cropped, read_job, read_out_of_fold, write_pieces
from autoseg.workspace import JobFolder
from tests.oof_world import write_out_of_fold

SHAPE = (6, 9, 8)


def exclusive() -> np.ndarray:
    heads = np.zeros((3, *SHAPE), dtype=np.float32)
    heads[0] = 1.0
    heads[:, 2:4, 3:8, 1:3] = np.array([0.2, 0.6, 0.2]).reshape(3, 1, 1, 1)
    return heads


def test_only_the_box_is_stored_and_the_rest_comes_back(tmp_path):
    path = tmp_path / "oof" / "a.npz"
    write_out_of_fold(path, exclusive(), background=0)
    stored = read_cropped(path)
    assert stored.box == ((2, 4), (3, 8), (1, 3))
    assert stored.probabilities.dtype == np.float32
    assert np.allclose(read_out_of_fold(path, SHAPE, "exclusive"), exclusive(), atol=1e-6)  # multiples of 1/255
    assert [item.name for item in path.parent.iterdir()] == ["a.npz"]


def test_rounding_is_finer_than_any_decision(tmp_path):
    heads = np.random.default_rng(0).random((2, *SHAPE)).astype(np.float32)
    write_out_of_fold(tmp_path / "a.npz", heads, background=None)
    assert np.abs(read_out_of_fold(tmp_path / "a.npz", SHAPE, "regions") - heads).max() <= 1 / 509


@pytest.mark.parametrize(("kind", "background", "outside"), [("exclusive", 0, [1, 0, 0]), ("regions", None, [0, 0, 0])])
def test_nothing_predicted(tmp_path, kind, background, outside):
    heads = np.zeros((3, *SHAPE), dtype=np.float32)
    write_out_of_fold(tmp_path / "a.npz", heads, background)
    assert read_cropped(tmp_path / "a.npz").probabilities.shape == (3, 0, 0, 0)
    assert read_out_of_fold(tmp_path / "a.npz", SHAPE, kind)[:, 0, 0, 0].tolist() == outside


@pytest.mark.parametrize("where", [np.s_[:], np.s_[:, 2, 3, 4]])
def test_what_is_no_number_is_never_stored_as_background(tmp_path, where):
    heads = np.zeros((3, *SHAPE), dtype=np.float32)
    heads[0] = 1.0
    heads[where] = np.nan
    with pytest.raises(ValueError, match="no finite numbers"):
        write_out_of_fold(tmp_path / "a.npz", heads, background=0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pieces_are_stored_as_the_whole_is(tmp_path, axis):
    heads = exclusive()
    write_out_of_fold(tmp_path / "whole.npz", heads, background=0)
    cuts = [slice(0, 1), slice(1, 3), slice(3, SHAPE[axis])]
    places = [tuple(cut if one == axis else slice(0, SHAPE[one]) for one in range(3)) for cut in cuts]
    pieces = ((place, heads[:, *place]) for place in places)
    write_pieces(tmp_path / "pieces.npz", pieces, SHAPE, background=0)
    assert (tmp_path / "pieces.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_embed_into_a_larger_box(tmp_path):
    write_out_of_fold(tmp_path / "a.npz", exclusive(), background=0)
    box = ((1, 5), (2, 9), (0, 4))
    assert np.allclose(embed(read_cropped(tmp_path / "a.npz"), box, "exclusive"), exclusive()[:, 1:5, 2:9, 0:4])


def test_place_puts_a_crop_back():
    placed = place(np.ones((1, 2, 3), dtype=np.uint8), ((5, 6), (0, 2), (5, 8)), SHAPE)
    assert placed.shape == SHAPE
    assert placed.sum() == 6 == placed[5, :2, 5:].sum()


def test_missing_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(UnreadableFile, match="missing"):
        read_cropped(path)
    write_out_of_fold(path, exclusive(), background=0)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableFile, match=r"a\.npz: not an out-of-fold prediction"):
        read_cropped(path)
    job = JobFolder(tmp_path / "fold_2")
    with pytest.raises(DataError, match="case b, job 2d/fold_2: .*missing"):
        read_job(job, "2d", 2, "b")


def test_a_box_beyond_the_grid_is_refused(tmp_path):
    write_out_of_fold(tmp_path / "a.npz", exclusive(), background=0)
    with pytest.raises(UnreadableFile, match="does not lie in the case's grid"):
        read_out_of_fold(tmp_path / "a.npz", (3, 9, 8), "exclusive")
    np.savez(tmp_path / "b.npz", probabilities=np.zeros((2, 1, 1, 1)), box=np.array([[0, 2], [0, 1], [0, 1]]))
    with pytest.raises(UnreadableFile, match="do not fill the box"):
        read_cropped(tmp_path / "b.npz")


def test_what_was_written_as_float16_is_read_and_what_is_no_probability_is_refused(tmp_path):
    heads, box = exclusive()[:, 2:4, 3:8, 1:3].astype(np.float16), np.array([[2, 4], [3, 8], [1, 3]])
    np.savez(tmp_path / "old.npz", probabilities=heads, box=box)
    assert np.array_equal(read_cropped(tmp_path / "old.npz").probabilities, heads.astype(np.float32))
    heads[0, 0, 0, 0], heads[1, 0, 0, 0] = np.nan, 1.5
    np.savez(tmp_path / "odd.npz", probabilities=heads, box=box)
    with pytest.raises(UnreadableFile, match="2 of 60 values are no probabilities from 0 to 1"):
        read_cropped(tmp_path / "odd.npz")
    with pytest.raises(ValueError, match="1 probabilities are no finite numbers"):
        write_out_of_fold(tmp_path / "new.npz", np.where(np.isnan(heads), np.nan, 0.5), background=None)


def test_rounding_changes_no_decision(tmp_path):
    rng = np.random.default_rng(0)
    heads = rng.dirichlet((1, 1, 1), 20_000).T.astype(np.float32).reshape(3, 20, 20, 50)
    heads[:2] = (heads[:2] + heads[:2].mean(axis=0) * 50) / 51  # nearly a tie
    heads /= heads.sum(axis=0)
    write_out_of_fold(tmp_path / "a.npz", heads, background=0)
    assert np.array_equal(read_cropped(tmp_path / "a.npz").probabilities.argmax(axis=0), heads.argmax(axis=0))
    write_out_of_fold(tmp_path / "b.npz", heads, background=None)
    assert np.array_equal(read_cropped(tmp_path / "b.npz").probabilities > 0.5, heads > 0.5)
