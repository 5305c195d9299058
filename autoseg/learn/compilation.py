"""Compiling a network's passes where that is safe and pays; otherwise they stay as they are, and it is said why.

What is compiled is a function of network and images, never the network: its parameters keep their names and places, so
that checkpoints, averaged weights and optimizers know nothing of it. A compiled function is used only if

* the compiler is there and does not fail;
* on the real network, patch and batch its logits and gradients are about as near to those in float32 as they are
  without compiling, in the same precision;
* the time that it saves in what is left of the job is more than compiling took.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from autoseg.learn import memory, networks
from autoseg.learn.precision import LARGEST_ERROR, autocast
from autoseg.learn.state import TrainingState
from autoseg.learn.step import Forward, Update
from autoseg.learn.trials import Batch, gradient_s
from planners.contracts import Precision

NOISE = 2.0
"""Times the rounding errors of uncompiled passes, that those of compiled ones may reach: they round elsewhere."""
NEGLIGIBLE = 1e-3
"""Of the largest tensor's norm. Biases before a normalisation have no gradient but rounding, which is anybody's."""
REPEATS = 3
"""Steps that are timed, of which the fastest counts."""


@dataclass(frozen=True)
class Attempt:
    """What came of compiling.

    Attributes:
        update: With compiled passes if they are to be used, else as it was.
        because: Why, to stand after what was tried.
    """

    update: Update
    because: str


def judged(
    update: Update,
    state: TrainingState,
    batch: Batch,
    left_s: Callable[[float], float],
    compiler: Callable[[Forward], Forward],
) -> Attempt:
    """Compile the passes of an update, and decide whether to use that.

    Args:
        update: What is used so far.
        state: Its network is tried, and not changed.
        batch: Images and classes of the job's sizes.
        left_s: Seconds left of the job, at some seconds per step.
        compiler: Gives the compiled form of a function, at its first call at the latest.
    """
    before_s, problem = gradient_s(update, state, batch, REPEATS), ""
    started = time.perf_counter()
    try:
        compiled = replace(update, compiled=compiler(update.forward))
        gradient_s(compiled, state, batch)
        compile_s = time.perf_counter() - started
        after_s = gradient_s(compiled, state, batch, REPEATS)
        saved_s = left_s(before_s) * (1 - after_s / before_s)
        if not _agree(compiled, state, batch[0]):
            problem = "gives logits or gradients that are off by more than rounding"
        elif saved_s <= compile_s:
            problem = f"takes {compile_s:.0f} s to compile and would save {max(0.0, saved_s):.0f} s of this job"
    except Exception as error:  # noqa: BLE001 - an optional acceleration: whatever a compiler throws, training goes on
        problem = f"fails ({_summary(error)})"
    finally:
        state.optimizer.zero_grad(set_to_none=True)
    if problem:
        torch.compiler.reset()  # gives back its room; what is in use is compiled again, from a cache
        memory.give_back(batch[0].device)
        return Attempt(update, f"not used, as it {problem}")
    return Attempt(
        compiled, f"used: {compile_s:.0f} s to compile, then {after_s:.4f} s per step instead of {before_s:.4f}"
    )


@contextlib.contextmanager
def released(update: Update, device: torch.device) -> Iterator[None]:
    """After the ``with`` block, give back what compiled passes hold, if the update has any.

    The next job's network is another one: for it, code is looked up anew in the compiler's files. Graphs keep memory of
    their own, which predictions need, and after a few jobs of other sizes torch would compile nothing any more.
    """
    try:
        yield
    finally:
        if update.compiled is not None:
            torch.compiler.reset()
            memory.give_back(device)


def _summary(error: Exception) -> str:
    """Type and first line of what went wrong, inside the compiler where it tells."""
    inner = getattr(error, "inner_exception", error)
    said = str(inner).strip().splitlines()
    return ": ".join([type(inner).__name__, *said[:1]])


# ----------------------------------------------------------------------------------------------------- agreement


def _agree(update: Update, state: TrainingState, images: Tensor) -> bool:
    """Whether compiled logits and gradients are about as near to float32 as the uncompiled ones."""
    if update.compiled is None:
        return True
    network, precision = state.network, update.plan.precision
    images = images.contiguous(memory_format=networks.layout_of(network.parameters()))
    exact = _results(update.forward, network, images.split(1), "fp32")  # one by one: no more memory than all in half
    plain = _results(update.forward, network, [images], precision)
    found = _results(update.compiled, network, [images], precision)
    return all(_near(*three) for three in zip(found, plain, exact, strict=True))


def _results(
    forward: Forward, network: nn.Module, parts: Sequence[Tensor], precision: Precision
) -> tuple[list[Tensor], list[Tensor]]:
    """Logits, and the gradients of a fixed weighted sum of them, which add up over the parts of a batch."""
    network.zero_grad(set_to_none=True)
    logits: list[list[Tensor]] = []
    for images in parts:
        with autocast(images.device, precision):
            outputs = forward(network, images)
        torch.autograd.backward(outputs, [_weights(output) for output in outputs])
        logits.append([output.detach().float() for output in outputs])
    gradients = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
    return [torch.cat(level) for level in zip(*logits, strict=True)], gradients


def _weights(output: Tensor) -> Tensor:
    """From -1 to 1 over the voxels and heads of each sample."""
    line = torch.linspace(-1, 1, output[0].numel(), device=output.device, dtype=output.dtype)
    return line.view(output[:1].shape).expand_as(output)


def _near(found: Sequence[Tensor], plain: Sequence[Tensor], exact: Sequence[Tensor]) -> bool:
    """Whether each tensor is off by no more than rounding, told by how far the uncompiled one is."""
    negligible = NEGLIGIBLE * max(float(tensor.norm()) for tensor in exact)
    for one, usual, true in zip(found, plain, exact, strict=True):
        allowed = NOISE * (usual - true).norm() + LARGEST_ERROR * true.norm() + negligible
        if not bool((one - true).norm() <= allowed):  # also where one of them is no number
            return False
    return True
