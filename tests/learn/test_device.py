import pytest
import torch

from autoseg.errors import UsageError
from autoseg.learn import device as devices
from autoseg.learn import memory


def test_resolve_knows_what_is_here():
    assert devices.resolve("cpu") == torch.device("cpu")
    assert devices.resolve("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="there are: auto"):
        devices.resolve("cuda:99")


def test_measure_fills_a_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "SECONDS_PER_MEASUREMENT", 0.01)
    monkeypatch.setattr(devices, "_SHAPES", {2: ((4, (32, 32)),), 3: ((4, (8, 8, 8)),)})
    monkeypatch.setattr(memory, "cores", lambda: 1)
    threads = torch.get_num_threads()
    budget = devices.measure(torch.device("cpu"), tmp_path)
    torch.set_num_threads(threads)
    assert {(t.dimension, t.precision) for t in budget.throughputs} >= {(2, "fp32"), (3, "fp32")}
    assert all(1e6 < t.flops_per_s < 1e14 for t in budget.throughputs)
    assert all(1e8 < t.bytes_per_s < 1e13 for t in budget.throughputs)
    assert budget.precision in {t.precision for t in budget.throughputs}
    assert 1e8 < budget.memory_bytes == budget.ram_bytes
    assert budget.disk_bytes > 0
    assert 1e-5 < budget.step_overhead_s < 1


def test_full_precision_computes_right():
    assert devices.computes_right(torch.device("cpu"), "fp32")


def test_memory_respects_the_control_group(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 500000\n")
    monkeypatch.setattr(memory, "_cgroup_folders", lambda: [tmp_path])
    assert memory.ram_bytes() == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.ram_bytes() > 10_000_000


def test_cores_respect_the_control_group(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_cgroup_folders", lambda: [tmp_path])
    assert memory.cores() >= 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert memory.cores() == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_measure_a_gpu(tmp_path):
    budget = devices.measure(torch.device("cuda:0"), tmp_path)
    assert budget.precision in ("bf16", "fp16")
