"""Histograms: what is alike, what is not, and what it looks like."""

import numpy as np
import pytest

from autoseg.volumes import likeness
from autoseg.volumes.oddness import apart


def curves(count, kind="gamma", first=0):
    draw = {
        "gamma": lambda g: g.gamma(2, size=4000),
        "normal": lambda g: g.normal(size=4000),
        "two": lambda g: np.concatenate([g.normal(0, 1, 3000), g.normal(9, 1, 1000)]),
    }[kind]
    return [likeness.curve(np.sort(draw(np.random.default_rng(seed)))) for seed in range(first, first + count)]


def hounsfield(count, first=0):
    generators = (np.random.default_rng(seed) for seed in range(first, first + count))
    return [
        likeness.curve(np.sort(np.concatenate([g.normal(-990, 9, 900 + 9 * g.integers(99)), g.normal(40, 60, 900)])))
        for g in generators
    ]


@pytest.mark.parametrize("hu", [True, False])
def test_members_are_not_doubted(hu):
    made = hounsfield(20) if hu else curves(20)
    for number, values in enumerate(made):
        others = likeness.population(made[:number] + made[number + 1 :], hounsfield=hu)
        assert likeness.doubt(values, others) == ""
    assert all(likeness.doubt(v, p) == "" for v, p in zip(made, likeness.others(made, hounsfield=hu), strict=True))


def test_scale_and_offset_count_only_in_hounsfield_units():
    [new] = curves(1, first=50)
    assert likeness.doubt(1e6 * new - 5, likeness.population(curves(9), hounsfield=False)) == ""
    [new] = hounsfield(1, first=50)
    known = likeness.population(hounsfield(9), hounsfield=True)
    assert likeness.doubt(new, known) == ""
    assert "about 1024 HU above" in likeness.doubt(new + 1024, known)
    assert "about 1024 HU below" in likeness.doubt(new - 1024, known)
    assert "outside the range seen on average" in likeness.doubt(9 * new, known)


@pytest.mark.parametrize("turned", [lambda v: -v[::-1], lambda v: v[0] + v[-1] - v[::-1]])
@pytest.mark.parametrize("hu", [True, False])
def test_inverted_values_are_called_so(turned, hu):
    [new], known = (hounsfield(1, 50), hounsfield(9)) if hu else (curves(1, first=50), curves(9))
    assert likeness.doubt(turned(new), likeness.population(known, hounsfield=hu)).startswith("values seem inverted")


def test_a_population_of_two_kinds_knows_both():
    both = likeness.population(curves(12) + curves(3, "two"), hounsfield=False)
    assert likeness.doubt(curves(1, "two", 50)[0], both) == ""
    assert "unlike any seen" in likeness.doubt(
        curves(1, "two", 50)[0], likeness.population(curves(12), hounsfield=False)
    )


def test_few_cases_show_little_of_the_spread():
    limits = [likeness.population(curves(count), hounsfield=False).limit for count in (1, 2, 5, 20, 200)]
    assert limits == sorted(limits, reverse=True)


def test_swapped_channels():
    known = [likeness.population(curves(9, kind), hounsfield=False) for kind in ("gamma", "two", "normal")]
    image = [curves(1, kind, 50)[0] for kind in ("gamma", "two", "normal")]
    assert likeness.swapped(image, known) is None
    assert likeness.swapped([image[1], image[0], image[2]], known) == (0, 1)
    assert likeness.swapped([100 * image[0], image[2], 9 * image[1]], known) == (1, 2)


def test_channels_that_look_the_same_are_never_swapped():
    known = [likeness.population(curves(9, first=first), hounsfield=False) for first in (0, 20)]
    assert likeness.swapped(curves(2, first=50), known) is None


def test_a_large_population_is_sampled():
    known = likeness.population(curves(3) * 1500, hounsfield=False)
    assert known.count == 4500
    assert len(known.examples) <= likeness.MOST_EXAMPLES


def test_a_flat_curve_has_no_shape():
    assert not likeness.standardized(np.full(50, 1e9)).any()


def test_numbers_that_stand_apart():
    values = {str(n): 1.0 + n / 100 for n in range(20)}
    assert apart(values | {"far": 3.0}, {*values, "far"}, margin=0.5).keys() == {"far"}
    assert apart(values | {"far": 1.4}, {*values, "far"}, margin=0.5) == {}  # close enough
    assert apart(values | {"far": 3.0}, set(values), margin=0.5)["far"].typical == pytest.approx(1.095)
    assert apart(values | {f"far{n}": 3.0 for n in range(4)}, {*values, *(f"far{n}" for n in range(4))}, 0.5) == {}
    assert apart({"a": 1, "b": 1, "c": 99}, "abc", margin=0.5) == {}  # too few to say what is typical
