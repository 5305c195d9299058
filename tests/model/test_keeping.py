"""What a model keeps of the probabilities that it makes piece by piece."""

import numpy as np
import pytest

from autoseg import machine, model
from autoseg.errors import DoesNotFit
from autoseg.volumes.rounding import quantized
from tests.model import tiny


@pytest.mark.parametrize("labels", [tiny.EXCLUSIVE, tiny.REGIONS])
def test_what_is_kept_changes_no_mask(tmp_path, labels):
    tiny.make(tmp_path / "model", tiny.draft(labels=labels, members=(("3d_fullres", 3.0), ("2d", 1.0))))
    loaded = model.load(tmp_path / "model", device="cpu")
    image = np.random.default_rng(0).normal(size=(1, 30, 20, 22)).astype(np.float32)
    spacing = (1.3, 0.8, 1.1)
    exact, rounded, nothing = (loaded.blended(image, spacing, keep=keep) for keep in ("exact", "rounded", "nothing"))
    expected = quantized(exact.probabilities, exclusive=labels.kind == "exclusive")
    np.testing.assert_array_equal(rounded.probabilities, expected)
    assert nothing.probabilities.size == 0
    masks = [loaded.finish(each.votes, spacing) for each in (exact, rounded, nothing)]
    assert len(np.unique(masks[0])) > 1
    for mask in (*masks[1:], loaded.decide(exact.probabilities, spacing)):
        np.testing.assert_array_equal(mask, masks[0])


def test_what_cannot_be_kept_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    tiny.make(tmp_path / "model")
    loaded = model.load(tmp_path / "model", device="cpu")
    monkeypatch.setattr(machine, "ram_bytes", lambda: 2**28)
    image = np.broadcast_to(np.float32(1), (1, 300, 512, 512))
    with pytest.raises(DoesNotFit, match=r"3 heads say of 78,643,200 voxels takes 0\.952 GiB.*0\.25 GiB are free"):
        loaded.canonical_probabilities(image, (1.0, 1.0, 1.0))
