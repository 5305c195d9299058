"""How thoroughly properties are tested: HYPOTHESIS_PROFILE=nightly looks further than every day's run can."""

import os

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile(  # the same examples every time: a change fails for what it does, not by chance
    "default", max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(  # other examples every time; a failure prints how to repeat it
    "nightly", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=SLOW_IS_FINE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
