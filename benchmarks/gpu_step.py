"""A train step with loading and augmentation on a GPU: seconds of ours and of nnU-Net's, and what limits ours.

    python -m benchmarks.gpu_step OUT [--device cuda] [--shape 115 320 232] [--steps 200]

On made-up scans of the size and spacing of the Decathlon's hearts, for which nnU-Net plans patches of 80x192x160 and
batches of two. Our parity planner makes the same plan, which is checked. nnU-Net trains as it comes (fp16, compiled),
with as many loader processes as serve it best; ours trains a job as a run does, in the precision that a run chooses.
The job is planned as long as nnU-Net's, so that it finds out whether compiling pays, and is stopped after some steps.
Also printed: how our steps were computed, our share of time spent waiting for data, and of two limits: the machine's
fastest matrix product (``peak``), and the time that each convolution needs at least for its arithmetic or its memory
traffic (``roofline``).
Nothing else may run on the machine meanwhile.
"""

import argparse
import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from autoseg import environment, generations, pipeline
from autoseg.contracts import Label, Settings
from autoseg.errors import Interrupted
from autoseg.events import Event
from autoseg.job import Job
from autoseg.learn import checkpoint
from autoseg.phantoms import write_msd
from autoseg.stages import preprocess, train
from benchmarks.peers.install import default_folder
from benchmarks.peers.nnunet import Peer
from benchmarks.race.tasks import FOLD, Task
from benchmarks.train_step import require_same
from planners import registry
from planners.contracts import Configuration, Precision, Shape
from planners.cost import PASSES_PER_STEP, forward_flops
from planners.layers import layers
from planners.memory import ELEMENT_BYTES

HEART_SIZED = Task(
    name="heart_sized",
    folder="heart_sized",
    images="imagesTr",
    masks="labelsTr",
    suffix=".nii.gz",
    channels=("MRI",),
    labels=(Label(name="organ", value=1), Label(name="lesion", value=2)),
    configuration="3d_fullres",
    minutes=20.0,
)
"""Twenty made-up scans. Its minutes only say for how long nnU-Net's loading is tuned: each way for a fortieth."""
SPACING_MM = (1.37, 1.25, 1.25)
MATRIX = 8192
"""Edge of the matrices whose product tells the peak."""
SETTLED = 0.25
"""Share of the steps that pass before the clock starts: kernels are chosen, queues filled."""


def main() -> None:
    """Make the data, time both sides, print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("out", type=Path)
    asked.add_argument("--device", default="cuda")
    asked.add_argument("--shape", type=int, nargs=3, default=(115, 320, 232))
    asked.add_argument("--steps", type=int, default=200)
    asked.add_argument("--venv", type=Path, default=default_folder())
    options = asked.parse_args()
    environment.settle()
    out, shape = options.out.resolve(), tuple(options.shape)
    data = made_data(out / "data", HEART_SIZED, shape)
    peer = Peer(HEART_SIZED, data, options.venv, out / "nnunet", options.device)
    peer.prepare()
    theirs = peer.tuned(HEART_SIZED.minutes, bf16=False).tried[0]
    ours = trained(data / HEART_SIZED.folder, out / "run", options.device, options.steps, peer)
    configuration, ours_s = ours.configuration, ours.step_s
    print(f"nnU-Net, {theirs.processes} loader processes: {theirs.iteration_s:.4f} s per step")
    print(f"autoseg, {configuration.training.precision}: {ours_s:.4f} s per step, waiting {ours.wait_share:.1%}")
    print(f"  {ours.execution}")
    print(f"ratio: {ours_s / theirs.iteration_s:.3f}")
    print(limits(configuration, torch.device(options.device), ours_s))


def made_data(folder: Path, task: Task, shape: Shape) -> Path:
    """Write the scans unless they are there."""
    if not (folder / task.folder / "dataset.json").exists():  # written last
        write_msd(folder / task.folder, len(task.training + task.validation), shape, spacing_mm=SPACING_MM)
    return folder


@dataclass(frozen=True)
class Trained:
    """Some steps of a job.

    Attributes:
        configuration: What was trained.
        step_s: Seconds of the median step, once settled.
        wait_share: Of the time, spent waiting for batches.
        execution: How steps were computed, and why.
    """

    configuration: Configuration
    step_s: float
    wait_share: float
    execution: str


def trained(source: Path, work: Path, device: str, steps: int, peer: Peer) -> Trained:
    """Train so many steps of nnU-Net's plan, of a job that begins anew."""
    stamps: list[float] = []

    def note(event: Event) -> None:
        if event.unit == "step" and event.what == "progress":
            stamps.append(time.perf_counter())
        if len(stamps) > steps:
            raise Interrupted("these are enough")

    with pipeline.opened(work, source, Settings(device=device, splits=str(peer.task.splits))) as row:
        made = registry.plan(row.fingerprint, row.planning.budget, "nnunet")
        asked = made.configuration(peer.task.configuration)
        require_same(asked, peer)
        training = asked.training.model_copy(update={"seconds": None, "precision": row.planning.budget.precision})
        chosen = asked.model_copy(update={"training": training})
        plan = made.model_copy(update={"configurations": (chosen,)})
        prepared = preprocess.preprocess(row.planning.planned_on, plan, row.workspace.dataset, row.workspace.prepared)
        job, folder = (
            Job(plan, row.planning.budget, row.planning.planned_on, prepared, chosen.name, FOLD, seed=0),
            row.workspace.job,
        )
        shutil.rmtree(folder(chosen.name, FOLD).path, ignore_errors=True)
        with contextlib.suppress(Interrupted):
            train.train(job, row.workspace.prepared, folder(chosen.name, FOLD), notify=note)
        saved = checkpoint.unseal(next(generations.load(folder(chosen.name, FOLD).checkpoint)))["state"]["counters"]
    steps_s = [later - earlier for earlier, later in zip(stamps, stamps[1:], strict=False)]
    step_s, execution = median(steps_s[int(SETTLED * len(steps_s)) :]), f"{saved['layout']}; {saved['compiling']}"
    return Trained(chosen, step_s, saved["waited_s"] / (stamps[-1] - stamps[0]), execution)


def limits(configuration: Configuration, device: torch.device, step_s: float) -> str:
    """Our share of peak and of the roofline."""
    training, network = configuration.training, configuration.network
    peak, bandwidth = flops_per_s(device, training.precision), bytes_per_s(device)
    work = PASSES_PER_STEP * training.batch
    flops = work * forward_flops(network, training.patch_vox)
    element = ELEMENT_BYTES[training.precision]
    least_s = work * sum(
        max(layer.flops / peak, element * (layer.inputs + layer.outputs) / bandwidth)
        for layer in layers(network, training.patch_vox)
    )
    return (
        f"{flops / step_s / 1e12:.1f} TFLOP/s: {flops / step_s / peak:.1%} of peak ({peak / 1e12:.1f} TFLOP/s), "
        f"{least_s / step_s:.1%} of roofline ({bandwidth / 1e9:.0f} GB/s)"
    )


def flops_per_s(device: torch.device, precision: Precision) -> float:
    """Of a large matrix product."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    edge = MATRIX if device.type == "cuda" else MATRIX // 8
    a, b = (torch.randn(edge, edge, device=device).to(dtype) for _ in range(2))
    return 2 * edge**3 / fastest(lambda: a @ b, device)


def bytes_per_s(device: torch.device) -> float:
    """Of a large copy, read and written."""
    source = torch.ones(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / fastest(lambda: target.copy_(source), device)


def fastest(call: Callable[[], object], device: torch.device, times: int = 20) -> float:
    """Seconds of the fastest call."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - started)
    return min(durations)


if __name__ == "__main__":
    main()
