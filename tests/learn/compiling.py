"""Attempts to compile, each printed as a line of JSON: a program, since compilers leave a process with other memory.

Networks that compile rightly or not are traced by the library's ``aot_eager``, as by every back end, which then writes
no code. The default back end, which writes C++, is tried too.
"""

import json
import math
import time
from collections.abc import Callable
from functools import partial

import torch

from autoseg.learn import networks
from autoseg.learn.compilation import judged
from autoseg.learn.networks.plain_unet import PlainUNet
from autoseg.learn.state import fresh
from autoseg.learn.step import Update
from autoseg.learn.trials import noise
from tests.learn.tiny import network_plan, training_plan

CPU = torch.device("cpu")
TRACED = partial(torch.compile, dynamic=False, backend="aot_eager")


class Slow(PlainUNet):
    """Spends time that compiling saves."""

    def _decode(self, x):
        if not torch.compiler.is_compiling():
            time.sleep(0.1)
        return super()._decode(x)


class Wrong(Slow):
    """Gets another result when it is compiled."""

    def _decode(self, x):
        levels = super()._decode(x)
        return [level * 1.1 for level in levels] if torch.compiler.is_compiling() else levels


class WrongBackwards(Slow):
    """Gets the right result and another gradient when it is compiled."""

    def _decode(self, x):
        levels = super()._decode(x)
        return [2 * level - level.detach() for level in levels] if torch.compiler.is_compiling() else levels


def broken(graph, inputs):
    raise NotImplementedError("such a graph\nin two lines")


def slowed(forward):
    def passes(network, images):
        time.sleep(0.2)
        return forward(network, images)

    return passes


def laborious(forward):
    """Takes longer than any job below lasts, on whatever machine."""
    time.sleep(1.0)
    return TRACED(forward)


def greedy(forward):
    return lambda network, images: [torch.empty(1 << 60, device=images.device)]


def attempt(family: type[PlainUNet], compiler: Callable, left: float = math.inf) -> dict:
    """What came of compiling a network of a family, and whether the network is as it was."""
    networks.FAMILIES["plain_unet"] = family
    network, plan = network_plan(stages=2), training_plan(precision="bf16")
    state, update = fresh(network, plan, CPU, seed=1), Update(network, plan, ((1,),))
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    made = judged(update, state, noise(update, CPU), lambda step_s: left, compiler)
    after = state.network.state_dict()
    same = list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)
    untouched = same and all(weight.grad is None for weight in state.network.parameters())
    return {"because": made.because, "used": made.update.compiled is not None, "untouched": untouched}


ATTEMPTS = {
    "right and faster": (Slow, TRACED),
    "wrong": (Wrong, TRACED),
    "wrong backwards": (WrongBackwards, TRACED),
    "short job": (Slow, laborious, 0.5),
    "slower": (PlainUNet, slowed),
    "broken": (PlainUNet, partial(torch.compile, backend=broken)),
    "greedy": (PlainUNet, greedy),
    "default": (PlainUNet, partial(torch.compile, dynamic=False)),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, asked in ATTEMPTS.items():
        print(json.dumps({"name": name} | attempt(*asked)), flush=True)
