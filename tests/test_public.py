"""The public surface is this list and no more."""

import autoseg


def test_exported_names():
    assert sorted(autoseg.__all__) == ["AutosegError", "Report", "Settings", "load", "run"]
    assert all(hasattr(autoseg, name) for name in autoseg.__all__)
