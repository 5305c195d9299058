"""A train step of the same network, patch and batch: seconds of nnU-Net's, and of ours.

    python -m benchmarks.train_step DATA OUT [--task hippocampus] [--rounds 5] [--steps 3]

nnU-Net plans; our parity planner makes the same plan, which is checked. Four take turns, a few steps at a time: nnU-Net
as it is (fp32), nnU-Net under bf16 autocast, ours in fp32, and ours in the precision that a run chooses here. A step of
the peer's is its trainer's: forward, loss with deep supervision, backward, clipping, SGD. Ours is that of the training
loop itself and also reads its batch and averages the weights; both work on noise, without augmentation. The ratio is
taken within each round; nothing else may run on the machine meanwhile.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import torch

from autoseg import environment
from autoseg.contracts import Settings
from autoseg.learn import device as machine
from autoseg.learn.dryrun import dry_run
from autoseg.pipeline import opened
from benchmarks.peers.install import default_folder
from benchmarks.peers.nnunet import Peer
from benchmarks.race.tasks import TASKS, Task
from planners import registry
from planners.contracts import Augmentation, Configuration, Precision

BASE = "nnunet"
WARM_UP = 1
"""Steps of ours at the start of each turn, in which libraries choose their kernels; the peer's process stays alive."""
PAUSE_S = 0.5
"""Between turns, until the threads of the one before sleep."""
NO_AUGMENTATION = Augmentation(
    rotation_probability=0.0,
    scale_probability=0.0,
    noise_probability=0.0,
    blur_probability=0.0,
    brightness_probability=0.0,
    contrast_probability=0.0,
    low_resolution_probability=0.0,
    gamma_probability=0.0,
    gamma_invert_probability=0.0,
)
Turn = Callable[[int], float]
"""Makes so many steps and returns the seconds of the median one."""


def planned(task: Task, data: Path, out: Path) -> tuple[Configuration, Precision]:
    """Our parity planner's configuration, and the precision that a run chooses on this machine."""
    with opened(out, data / task.folder, Settings(device="cpu", splits=str(task.splits))) as row:
        plan = registry.plan(row.fingerprint, row.planning.budget, "nnunet")
        return plan.configuration(task.configuration), row.planning.budget.precision


def require_same(ours: Configuration, peer: Peer) -> None:
    """Stop unless both plan one network, patch and batch."""
    theirs = json.loads((peer.preprocessed / "nnUNetPlans.json").read_text())["configurations"][peer.task.configuration]
    architecture = theirs["architecture"]["arch_kwargs"]
    wanted = {
        "patch": (list(ours.training.patch_vox), theirs["patch_size"]),
        "batch": (ours.training.batch, theirs["batch_size"]),
        "features": (list(ours.network.features), architecture["features_per_stage"]),
        "strides": ([list(stride) for stride in ours.network.strides], architecture["strides"]),
        "kernels": ([list(kernel) for kernel in ours.network.kernels], architecture["kernel_sizes"]),
        "convolutions": (list(ours.network.convolutions_encoder), architecture["n_conv_per_stage"]),
        "convolutions of the decoder": (
            list(ours.network.convolutions_decoder),
            architecture["n_conv_per_stage_decoder"],
        ),
    }
    different = [f"{what}: ours {mine}, nnU-Net's {other}" for what, (mine, other) in wanted.items() if mine != other]
    if different:
        raise SystemExit("not the same network, so nothing can be compared:\n" + "\n".join(different))


@contextmanager
def peer_turn(peer: Peer, bf16: bool, work: Path) -> Iterator[Turn]:
    """The peer's trainer in its own process, which waits for turns."""
    child = peer.started(peer.order("step", work, bf16=bf16), work)
    asking, answering = child.stdin, child.stdout
    if asking is None or answering is None:
        raise SystemExit("the peer's process has no pipes")
    while (line := answering.readline()) and line.strip() != "ready":  # it says much before that
        pass

    def turn(steps: int) -> float:
        print(steps, file=asking, flush=True)
        return float(json.loads(answering.readline())["step_s"])

    try:
        turn(WARM_UP)
        yield turn
    finally:
        asking.close()
        child.wait()


def our_turn(configuration: Configuration, precision: Precision) -> Turn:
    """Our training loop, in this process."""
    members = [(index,) for index in range(1, configuration.network.heads)]
    plan = configuration.training.model_copy(
        update={"precision": precision, "augmentation": NO_AUGMENTATION, "seconds": None}
    )

    def turn(steps: int) -> float:
        asked = plan.model_copy(update={"steps": WARM_UP + steps})
        return median(dry_run(configuration.network, asked, members, torch.device("cpu")).steps_s[WARM_UP:])

    return turn


def rounds(turns: dict[str, Turn], count: int, steps: int) -> dict[str, list[float]]:
    """Seconds per step of each, in each round."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(count):
        for name, turn in turns.items():
            time.sleep(PAUSE_S)
            found[name].append(turn(steps))
        print(f"round {number + 1}: " + ", ".join(f"{n} {s[-1]:.3f} s" for n, s in found.items()), flush=True)
    return found


def table(found: dict[str, list[float]]) -> str:
    """Seconds, and ratios to the peer as it is, with their spread over rounds."""
    lines = ["| | s per step (least to most) | ratio to nnunet (least to most) |", "|---|---|---|"]
    for name, steps_s in found.items():
        ratios = [mine / other for mine, other in zip(steps_s, found[BASE], strict=True)]
        lines.append(f"| {name} | {_spread(steps_s)} | {_spread(ratios)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Plan, take turns, print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--task", choices=list(TASKS), default="hippocampus")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--steps", type=int, default=3)
    asked.add_argument("--venv", type=Path, default=default_folder())
    options = asked.parse_args()
    environment.settle()
    task, data, out = TASKS[options.task], options.data.resolve(), options.out.resolve()
    peer = Peer(task, data, options.venv, out / f"{task.name}-nnunet")
    peer.prepare()
    configuration, chosen = planned(task, data, out / f"{task.name}-train-step")
    require_same(configuration, peer)
    machine.prepare(torch.device("cpu"), deterministic=False)
    with ExitStack() as processes:
        turns = {
            BASE: processes.enter_context(peer_turn(peer, False, out / "step-fp32")),
            "nnunet_bf16": processes.enter_context(peer_turn(peer, True, out / "step-bf16")),
            "autoseg fp32": our_turn(configuration, "fp32"),
            f"autoseg {chosen}, as chosen": our_turn(configuration, chosen),
        }
        found = rounds(turns, options.rounds, options.steps)
    patch = "x".join(map(str, configuration.training.patch_vox))
    print(f"\n{task.name}, patch {patch}, batch {configuration.training.batch}, {torch.get_num_threads()} threads\n")
    print(table(found))


if __name__ == "__main__":
    main()
