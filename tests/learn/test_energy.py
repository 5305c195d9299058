"""Joules: counters where they can be read, an estimate that says so, and nothing where nothing tells."""

import pytest
import torch

from autoseg.errors import Interrupted
from autoseg.learn import energy
from autoseg.learn.energy import CORE_W, NVML, PROCESSOR_TIME, RAPL, Meter, parts
from autoseg.learn.loop import train
from tests.learn.test_loop import Memory, stop_at, task
from tests.learn.tiny import network_plan, source

CPU = torch.device("cpu")


def counter(folder, name, joules, most=1000.0):
    folder.mkdir(exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    (folder / "max_energy_range_uj").write_text(f"{most * 1e6 - 1:.0f}\n")


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Where counters would be; there are none yet."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return tmp_path


def test_packages_are_added_up_over_the_end_of_their_counters_and_their_parts_are_not(powercap):
    def count(first, second):
        counter(powercap / "intel-rapl:0", "package-0", first)
        counter(powercap / "intel-rapl:1", "package-1", second)
        counter(powercap / "intel-rapl:0:0", "core", 10 * first)
        counter(powercap / "intel-rapl:2", "psys", 10 * first)

    spent = {}
    count(100.0, 990.0)
    meter = Meter(CPU, spent)
    count(130.0, 5.0)  # the second began anew at 1000
    meter.look(last=True)
    count(140.0, 5.0)
    meter.look(last=True)
    (part,) = parts(spent, CPU)
    assert part.joules == pytest.approx(30.0 + 15.0 + 10.0)
    assert part.measured and "RAPL" in part.how


def test_a_counter_that_fails_on_the_way_leaves_no_number(powercap):
    spent = {RAPL: 50.0}
    counter(powercap / "intel-rapl:0", "package-0", 1.0)
    meter = Meter(CPU, spent)
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    meter.look(last=True)
    (part,) = parts(spent, CPU)
    assert (part.joules, part.measured) == (None, False)
    assert "could not be read to the end" in part.how


def test_without_counters_it_is_estimated_and_said_so(powercap):
    (powercap / "intel-rapl:0").mkdir()  # without files, as where reading is not allowed
    spent = {}
    meter = Meter(CPU, spent)
    before = energy.time.process_time()
    sum(i * i for i in range(10**6))
    meter.look(last=True)
    passed_s = energy.time.process_time() - before
    (part,) = parts(spent, CPU)
    assert part.joules == pytest.approx(CORE_W * passed_s, abs=0.2)
    assert not part.measured and part.how.startswith("estimated from processor time at 12 W")


def test_an_accelerator_without_a_counter_is_not_passed_over():
    known, unknown = parts({PROCESSOR_TIME: 1.0}, torch.device("cuda:0"))
    assert known.joules == 1.0
    assert unknown.joules is None and "cuda:0: it has no counter" in unknown.how


def test_a_job_counts_over_restarts_each_by_what_it_could_read(powercap, monkeypatch):
    monkeypatch.setattr(energy, "INTERVAL_S", 0.0)
    memory, job = Memory(), task(network_plan(stages=2), steps=8)
    with pytest.raises(Interrupted):
        train(job, source(), memory.store, CPU, stop_at(4))
    counter(powercap / "intel-rapl:0", "package-0", 1.0)
    estimated, measured = train(job, source(), memory.store, CPU).energy
    assert estimated.joules > 0 and not estimated.measured
    assert measured.joules == 0.0 and measured.measured  # the counter stood still


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_counts_its_own_joules():
    spent, device = {}, torch.device("cuda:0")
    meter = Meter(device, spent)
    square = torch.ones(4096, 4096, device=device)
    for _ in range(200):
        square = square @ square / 4096
    torch.cuda.synchronize()
    energy.time.sleep(0.5)
    meter.look(last=True)
    assert spent[NVML] > 1.0
