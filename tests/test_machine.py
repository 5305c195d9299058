"""What a process may use is the least that any of machine, control group and batch system grants."""

import os

import psutil
import pytest

from autoseg import machine


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No batch system, and no control group but the folder of the test."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(machine, "_cgroup_folders", lambda: [])
    monkeypatch.setattr(machine, "_version_1_folders", lambda controller: [])


@pytest.fixture
def group(monkeypatch, tmp_path):
    """A control group, whose files a test may write."""

    def of_version(version):
        name, folders = ("_cgroup_folders", lambda: [tmp_path]), ("_version_1_folders", lambda controller: [tmp_path])
        monkeypatch.setattr(machine, *(name if version == 2 else folders))
        return tmp_path

    return of_version


@pytest.mark.fault(66, "a container with less memory than the machine", "the least that any limit leaves is used")
def test_memory_is_what_the_control_group_leaves(group):
    folder = group(2)
    (folder / "memory.max").write_text("3000000\n")
    (folder / "memory.current").write_text("2000000\n")
    (folder / "memory.stat").write_text("anon 5\ninactive_file 500000\n")
    assert machine.ram_bytes() == 1_500_000
    (folder / "memory.max").write_text("max\n")
    assert machine.ram_bytes() > 10_000_000


def test_memory_in_a_group_of_the_first_version(group):
    folder = group(1)
    (folder / "memory.limit_in_bytes").write_text("3000000\n")
    (folder / "memory.usage_in_bytes").write_text("2000000\n")
    (folder / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 500000\n")
    assert machine.ram_bytes() == 1_500_000
    (folder / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")  # how version 1 says "none"
    assert machine.ram_bytes() > 10_000_000


def test_cores_respect_the_quota(group, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert machine.cores() == 8
    folder = group(2)
    (folder / "cpu.max").write_text("150000 100000\n")
    assert machine.cores() == 2
    (folder / "cpu.max").write_text("max 100000\n")
    assert machine.cores() == 8


def test_cores_respect_the_quota_of_the_first_version(group, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    folder = group(1)
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("50000", 1), ("300000", 3), ("-1", 8)):
        (folder / "cpu.cfs_quota_us").write_text(quota)
        assert machine.cores() == expected


def test_a_batch_job_uses_its_share(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    used = psutil.Process().memory_info().rss
    for name, value in (("SLURM_CPUS_ON_NODE", "4"), ("SLURM_MEM_PER_CPU", "512")):
        monkeypatch.setenv(name, value)
    assert machine.cores() == 4
    assert machine.ram_bytes() == pytest.approx(4 * 512 * 2**20 - used, abs=64 * 2**20)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1024")
    assert machine.cores() == 2
    assert machine.ram_bytes() == pytest.approx(2**30 - used, abs=64 * 2**20)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "many")
    assert machine.cores() == 4
