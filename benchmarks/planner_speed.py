"""How long does planning take for the largest data there are?

    python -m benchmarks.planner_speed

1000 cases of 1000 x 512 x 512 voxels with spacings of their own and 100 labels of known size, for a CPU with two cores
and a GPU with 80 GB. Every plan is made with empty caches. Then what it costs to import the planners, each time in a
new process. All times are of one processor. A refusal for want of hours is timed like a plan: it is as much work.
"""

import random
import subprocess
import sys
import time
from math import pi
from statistics import median

from planners.contracts import (
    Budget,
    CaseFingerprint,
    ChannelFingerprint,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
    Preset,
    Throughput,
)
from planners.errors import PlanningError
from planners.layers import layers
from planners.registry import plan
from planners.topology import topology

CASES, SHAPE, LABELS = 1000, (1000, 512, 512), 100
REPEATS = 20
IMPORTS = 5
PROBE = "import time; t = time.process_time(); import planners.registry; print(time.process_time() - t)"
HU = IntensityStatistics(
    count=10**9,
    mean=0.0,
    std=400.0,
    minimum=-1024.0,
    percentile_00_5=-1000.0,
    median=20.0,
    percentile_99_5=1200.0,
    maximum=3071.0,
)


def largest() -> Fingerprint:
    """The data, the same every time."""
    draw = random.Random(0).uniform
    spacings = [(draw(0.5, 5.0), pixel, pixel) for pixel in (draw(0.5, 1.0) for _ in range(CASES))]
    return Fingerprint(
        dimension=3,
        spacing_known=True,
        kind="exclusive",
        heads=LABELS + 1,
        has_ignore=False,
        subjects=CASES,
        channels=(ChannelFingerprint(name="CT", modality="ct", overall=HU, foreground=HU),),
        labels=tuple(_ball(f"structure {index}", draw(20.0, 200.0)) for index in range(LABELS)),
        cases=tuple(
            CaseFingerprint(case=f"case_{index}", shape=SHAPE, spacing_mm=mm, orientation="LPS", cropped_shape=SHAPE)
            for index, mm in enumerate(spacings)
        ),
    )


def _ball(name: str, mm: float) -> LabelFingerprint:
    volume = pi * mm**3 / 6
    return LabelFingerprint(
        name=name,
        cases=CASES,
        voxel_fraction=1e-3,
        volume_mm3=volume,
        components=1.0,
        component_volume_mm3=volume,
        extent_mm=(mm, mm, mm),
    )


def machine(gpu: bool, preset: Preset, hours: float | None) -> Budget:
    """Two cores of a server, or an accelerator of a data centre."""
    flops_per_s, bytes_per_s = (60e12, 1.5e12) if gpu else (2e11, 1e10)
    return Budget(
        device="cuda:0" if gpu else "cpu",
        device_name="a GPU with 80 GB" if gpu else "two cores",
        cores=2,
        memory_bytes=80 * 10**9 if gpu else 16 * 10**9,
        ram_bytes=16 * 10**9,
        disk_bytes=10**12,
        precision="bf16",
        throughputs=tuple(
            Throughput(dimension=dimension, precision="bf16", flops_per_s=flops_per_s, bytes_per_s=bytes_per_s)
            for dimension in (2, 3)
        ),
        step_overhead_s=0.005,
        preset=preset,
        hours=hours,
    )


def timed(planner: str, data: Fingerprint, budget: Budget) -> tuple[list[float], str]:
    """Processor seconds of each repetition, and what came of it."""
    seconds = []
    for _ in range(REPEATS):
        topology.cache_clear()
        layers.cache_clear()
        started = time.process_time()
        try:
            made = ", ".join(configuration.name for configuration in plan(data, budget, planner).configurations)
        except PlanningError as error:
            made = f"refused: {type(error).__name__}"
        seconds.append(time.process_time() - started)
    return seconds, made


def import_s() -> list[float]:
    """Processor seconds of importing the planners in new processes."""
    calls = (subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True) for _ in range(IMPORTS))
    return [float(call.stdout) for call in calls]


def main() -> None:
    """Time and print."""
    data = largest()
    print(f"{'planner':8} {'machine':14} {'preset':9} {'median ms':>9} {'best ms':>8}  plan")
    presets: tuple[Preset, ...] = ("standard", "max")
    for planner in ("auto", "nnunet"):
        for name, gpu, hours in (
            ("cpu, 10 h", False, 10.0),
            ("cpu, 1000 h", False, 1000.0),
            ("gpu, 80 GB", True, None),
        ):
            for preset in presets:
                seconds, made = timed(planner, data, machine(gpu, preset, hours))
                middle, best = 1000 * median(seconds), 1000 * min(seconds)
                print(f"{planner:8} {name:14} {preset:9} {middle:9.1f} {best:8.1f}  {made}")
    imports = import_s()
    print(f"import of planners.registry: median {median(imports):.3f} s, best {min(imports):.3f} s of processor time")


if __name__ == "__main__":
    main()
