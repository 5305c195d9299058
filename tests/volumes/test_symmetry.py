import numpy as np
import pytest

from autoseg.volumes.symmetry import Body, Placed, partners

LEFT, RIGHT, MIDDLE, FRONT = range(4)


def body(shift=0.0, left=30.0, right=70.0, larger=1.0):
    return Body(
        shift,
        shift + 100.0,
        (
            Placed(1000.0, (50.0, 40.0, shift + left)),
            Placed(1000.0 * larger, (52.0, 41.0, shift + right)),
            Placed(1000.0, (50.0, 40.0, shift + 50.0)),
            Placed(1000.0, (50.0, 80.0, shift + 48.0)),
        ),
    )


def test_two_that_mirror_each_other_are_partners():
    assert partners([body(), body(3.0), body(-2.0, left=29.0)]) == {LEFT: RIGHT, RIGHT: LEFT}


@pytest.mark.parametrize(
    "bodies",
    [
        [body()] * 2,  # too few to tell
        [body(larger=3.0)] * 5,  # of unlike volume
        [body(left=5.0, right=45.0)] * 5,  # both on one side of the body
        [body(), body(left=70.0, right=30.0), body()],  # which is left changes
        [],
    ],
)
def test_others_are_not(bodies):
    assert partners(bodies) == {}


def test_absent_structures_do_not_count():
    absent = Body(0.0, 100.0, (None, *body().structures[1:]))
    assert partners([body(), body(1.0), absent, body(2.0)]) == {LEFT: RIGHT, RIGHT: LEFT}


def test_random_places_have_no_partners():
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(50):
        bodies = [
            Body(0.0, 100.0, tuple(Placed(float(generator.uniform(100, 2000)), tuple(p)) for p in places))
            for places in generator.uniform(0, 100, (5, 6, 3))
        ]
        found += len(partners(bodies))
    assert found == 0
