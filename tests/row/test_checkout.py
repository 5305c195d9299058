import subprocess

import pytest

from autoseg.row.checkout import commit


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_commit_and_whether_something_was_changed(checkout):
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert commit(checkout) == head
    (checkout / "file").write_text("two")
    commit.cache_clear()
    assert commit(checkout) == head + "+"


def test_a_package_has_none(tmp_path):
    assert commit(tmp_path) is None
