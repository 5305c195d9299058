import pytest
import torch

from autoseg.learn import memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("FIND was unable to find an engine to execute this computation after trying 31 plans."),
    ],
)
def test_every_way_of_saying_that_memory_ran_out_is_understood(error):
    assert memory.exhausted(error)


def test_other_errors_are_not():
    assert not memory.exhausted(RuntimeError("Expected all tensors to be on the same device"))
    assert not memory.exhausted(ValueError("out of memory"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_what_torch_keeps_for_later_is_free_and_can_be_given_back():
    gpu, size = torch.device("cuda:0"), 1 << 30
    torch.ones(1, device=gpu)
    before = memory.free_bytes(gpu)
    block = torch.empty(size, dtype=torch.uint8, device=gpu)
    assert before - memory.free_bytes(gpu) == pytest.approx(size, rel=0.05)
    del block
    assert torch.cuda.mem_get_info(gpu)[0] < before - 0.9 * size
    assert memory.free_bytes(gpu) == pytest.approx(before, rel=0.05)
    memory.give_back(gpu)
    assert torch.cuda.mem_get_info(gpu)[0] == pytest.approx(before, rel=0.05)
