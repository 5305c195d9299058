import sys

import pytest
import torch

from autoseg import __main__ as program
from autoseg import cli


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), 4, "free memory of the accelerator"),
        (RuntimeError("Expected all tensors to be on the same device"), 70, "this is a bug in autoseg"),
    ],
)
def test_an_accelerator_without_memory_is_no_bug_of_ours(error, code, said, monkeypatch, capsys):
    def app():
        raise error

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["autoseg", "status"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    assert said in capsys.readouterr().err
