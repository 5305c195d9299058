import os
import subprocess
import sys

import pytest

from autoseg import environment

SETTLED = "import os; from autoseg import environment; environment.settle(); print(os.environ['GLIBC_TUNABLES'])"


@pytest.mark.parametrize("own", [None, "glibc.malloc.check=0"])
def test_a_program_starts_anew_once_and_leaves_alone_what_is_set(own):
    surroundings = {name: value for name, value in os.environ.items() if name not in environment.VARIABLES}
    if own is not None:
        surroundings["GLIBC_TUNABLES"] = own
    made = subprocess.run([sys.executable, "-c", SETTLED], env=surroundings, capture_output=True, text=True)
    assert made.stdout.splitlines() == [own or environment.VARIABLES["GLIBC_TUNABLES"]], made.stderr
