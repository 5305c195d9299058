"""Switches that libraries read once, when a process starts or when they load."""

import os
import sys

VARIABLES = {
    # How long torch's threads spin, waiting for each other. With the default a step takes many times as long as soon
    # as another process wants a core; with this an idle machine is as fast as before.
    "GOMP_SPINCOUNT": "10000",
    # The GNU C library keeps the slivers beside large aligned blocks for small ones, so that the blocks' room cannot
    # be used again as a whole. Without that cache, training takes up to a quarter less memory in the same time.
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
    # What torch cannot compute on Apple's accelerators yet, a processor computes, and torch says so. Without it, the
    # first such operation ends the job.
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
}


def settle() -> None:
    """Set what is not set yet, here and for all child processes; what is read at the start takes a new start.

    Call it first thing in a program: the process is replaced by itself.
    """
    too_late = "GLIBC_TUNABLES" not in os.environ and gnu()
    inherit()
    if too_late:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def inherit() -> None:
    """Set what is not set yet for child processes."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


def gnu() -> bool:
    """Whether this process lives on the GNU C library."""
    try:
        return sys.platform == "linux" and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except ValueError:
        return False
