"""Prepared files that went missing or were cut short are made anew by the same command, and only they."""

import os

from autoseg import pipeline, records
from autoseg.workspace import Workspace
from tests import quick


def prepared(source, out, events):
    with pipeline.opened(out, source, quick.SETTINGS, notify=events.append) as row:
        return row.preprocess


def test_broken_arrays_are_prepared_anew_and_the_others_stay(source, tmp_path):
    out = quick.prepare(tmp_path / "out")
    first = prepared(source, out, [])
    arrays = sorted(Workspace(out).prepared.path.rglob("*_image.npy"))
    contents = {path: path.read_bytes() for path in arrays}
    stamps = {path: path.stat().st_mtime_ns for path in arrays}
    gone, cut, empty, *others = arrays
    gone.unlink()
    os.truncate(cut, len(contents[cut]) // 2)
    os.truncate(empty, 0)
    events = []
    again = prepared(source, out, events)
    assert records.digest(again) == records.digest(first)  # training goes on from it
    assert {path: path.read_bytes() for path in arrays} == contents
    assert all(path.stat().st_mtime_ns == stamps[path] for path in others)
    (warning,) = (event.detail for event in events if event.what == "warning" and event.stage == "preprocess")
    assert "missing or cut short, prepared anew: 3d_fullres: " in warning
    assert warning.count("3d_fullres: ") == 3
