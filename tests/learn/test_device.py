import pytest
import torch

from autoseg import machine
from autoseg.errors import ResourceError, UsageError
from autoseg.learn import device as devices
from autoseg.learn import speed
from autoseg.learn.precision import computes_right


def test_resolve_knows_what_is_here():
    assert devices.resolve("cpu") == torch.device("cpu")
    assert devices.resolve("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="there are: auto"):
        devices.resolve("cuda:99")


def test_measure_fills_a_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "SECONDS_PER_MEASUREMENT", 0.01)
    monkeypatch.setattr(speed, "_ON_A_CPU", {2: ((4, 4, (32, 32)),), 3: ((4, 4, (8, 8, 8)),)})
    monkeypatch.setattr(machine, "cores", lambda: 1)
    threads = torch.get_num_threads()
    budget = speed.measure(torch.device("cpu"), tmp_path)
    torch.set_num_threads(threads)
    assert {(t.dimension, t.precision) for t in budget.throughputs} >= {(2, "fp32"), (3, "fp32")}
    assert all(1e6 < t.flops_per_s < 1e14 for t in budget.throughputs)
    assert all(1e8 < t.bytes_per_s < 1e13 for t in budget.throughputs)
    assert budget.precision in {t.precision for t in budget.throughputs}
    assert 1e8 < budget.memory_bytes == budget.ram_bytes
    assert budget.disk_bytes > 0
    assert 1e-5 < budget.step_overhead_s < 1


def test_a_device_that_computes_wrongly_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "computes_right", lambda device, precision: False)
    with pytest.raises(ResourceError, match=r"cpu \(.*\) gets convolutions wrong .* update torch"):
        speed.measure(torch.device("cpu"), tmp_path)


def test_full_precision_computes_right():
    assert computes_right(torch.device("cpu"), "fp32")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_measure_a_gpu(tmp_path):
    budget = speed.measure(torch.device("cuda:0"), tmp_path)
    assert budget.precision in ("bf16", "fp16")
