import numpy as np
import pytest

from autoseg.volumes.intensity import merge, percentile, sketch


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
def test_a_sketch_holds_moments_and_quantiles(dtype):
    values = np.random.default_rng(0).integers(0, 200, 5000).astype(dtype)
    count, mean, std, quantiles = sketch(values)
    assert count == 5000
    assert mean == pytest.approx(values.mean(dtype=np.float64))
    assert std == pytest.approx(values.std(dtype=np.float64))
    np.testing.assert_allclose(quantiles, np.quantile(values.astype(np.float64), np.linspace(0, 1, 257)))


def test_one_value_is_enough_and_none_is_an_error():
    assert sketch(np.array([7], np.int16))[:3] == (1, 7.0, 0.0)
    assert set(sketch(np.array([7], np.int16))[3]) == {7.0}
    with pytest.raises(ValueError, match="empty"):
        sketch(np.array([]))
    with pytest.raises(ValueError, match="empty"):
        merge([])


def test_extreme_values_do_not_overflow():
    count, mean, std, quantiles = sketch(np.array([-32768, 32767], np.int16))
    assert (count, mean, std) == (2, -0.5, 32767.5)
    assert (quantiles[0], quantiles[128], quantiles[-1]) == (-32768, -0.5, 32767)


def test_merging_is_as_good_as_seeing_all_values():
    rng = np.random.default_rng(1)
    parts = [rng.normal(50 * i, 10 + i, 4000 * (i + 1)) for i in range(4)]
    together = np.concatenate(parts)
    merged = merge([sketch(part) for part in parts])
    assert merged[0] == together.size
    assert merged[1] == pytest.approx(together.mean())
    assert merged[2] == pytest.approx(together.std())
    assert (merged[3][0], merged[3][-1]) == (together.min(), together.max())
    for q in (5, 25, 50, 75, 95):
        rank = (together < percentile(merged, q)).mean() * 100
        assert rank == pytest.approx(q, abs=0.4)
    for q in (0.5, 99.5):
        assert percentile(merged, q) == pytest.approx(np.percentile(together, q), abs=2.0)


def test_merging_weighs_by_voxels():
    small, large = sketch(np.zeros(10)), sketch(np.ones(990))
    merged = merge([small, large])
    assert merged[1] == pytest.approx(0.99)
    assert percentile(merged, 50) == 1.0
    assert merge([large]) == large
