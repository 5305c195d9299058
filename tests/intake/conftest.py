import os

import pytest

from autoseg.workspace import DatasetFolder
from tests.made import folder_of_pairs


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def out(tmp_path):
    return DatasetFolder(tmp_path / "run" / "dataset")


@pytest.fixture
def source(tmp_path):
    return folder_of_pairs(tmp_path / "data")
