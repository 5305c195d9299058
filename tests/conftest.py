"""How thoroughly properties are tested (HYPOTHESIS_PROFILE=nightly looks further), and a run that tests share."""

import os

import pytest
from hypothesis import HealthCheck, settings

from autoseg import environment

environment.inherit()  # before anything loads torch: without, tests take many times as long beside other work

PHANTOM_SHAPE = (12, 20, 16)

SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile(  # the same examples every time: a change fails for what it does, not by chance
    "default", max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(  # other examples every time; a failure prints how to repeat it
    "nightly", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=SLOW_IS_FINE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Six volumes in the Decathlon's layout."""
    from autoseg import phantoms

    folder = tmp_path_factory.mktemp("msd") / "source"
    phantoms.write_msd(folder, cases=6, shape=PHANTOM_SHAPE)
    return folder


@pytest.fixture(scope="session")
def finished(source, tmp_path_factory):
    """An unbroken deterministic run on them, to be looked at only."""
    from autoseg import pipeline  # not above: most tests need no torch
    from tests import quick

    out = quick.prepare(tmp_path_factory.mktemp("run") / "out")
    pipeline.run(source, out, quick.SETTINGS)
    return out
