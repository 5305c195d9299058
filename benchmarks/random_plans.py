"""Plans drawn by seed: random data, random machines, every planner; to calibrate and to check what plans predict."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from planners import registry
from planners.contracts import (
    Budget,
    CaseFingerprint,
    ChannelFingerprint,
    Configuration,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
    LabelKind,
    Precision,
    Throughput,
)
from planners.cost import forward_flops
from planners.errors import PlanningError

PLANNERS = ("auto", "auto", "nnunet", "nnunet_resenc_m")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
MODALITIES = ("ct", "mri", "rgb", "other")


@dataclass(frozen=True)
class Drawn:
    """A configuration and the class indices of its targets."""

    planner: str
    configuration: Configuration
    members: tuple[tuple[int, ...], ...]

    @property
    def kind(self) -> LabelKind:
        """Regions have a head each, exclusive labels one more for the background."""
        return "regions" if self.configuration.network.heads == len(self.members) else "exclusive"

    @property
    def step_flops(self) -> float:
        """Arithmetic of a training step."""
        training = self.configuration.training
        return 3.0 * training.batch * forward_flops(self.configuration.network, training.patch_vox)


def draw(seed: int, precisions: tuple[Precision, ...] = PRECISIONS) -> Iterator[Drawn]:
    """Endless random configurations of the CPU."""
    generator = np.random.default_rng(seed)
    while True:
        planner = str(generator.choice(PLANNERS))
        data, machine = _fingerprint(generator), _budget(generator, str(generator.choice(precisions)))
        try:
            plan = registry.plan(data, machine, planner)
        except PlanningError:
            continue
        if not plan.trainable:
            continue
        configuration = plan.configurations[int(generator.integers(len(plan.configurations)))]
        yield Drawn(planner, configuration, tuple((index + 1,) for index in range(len(data.labels))))


def _fingerprint(generator: np.random.Generator) -> Fingerprint:
    flat = generator.random() < 0.3
    edges = np.exp(generator.uniform(np.log(24), np.log(400), 3)).astype(int)
    thickness = float(np.exp(generator.uniform(0, np.log(6))))
    shape = (1 if flat else max(1, int(edges[0] / thickness)), int(edges[1]), int(edges[2]))
    regions = bool(generator.random() < 0.2)
    labels = int(np.exp(generator.uniform(0, np.log(30))))
    numbers = IntensityStatistics(
        count=1000, mean=0, std=1, minimum=-3, percentile_00_5=-2, median=0, percentile_99_5=2, maximum=3
    )
    return Fingerprint(
        dimension=2 if flat else 3,
        spacing_known=True,
        kind="regions" if regions else "exclusive",
        heads=labels if regions else labels + 1,
        has_ignore=False,
        subjects=20,
        channels=tuple(
            ChannelFingerprint(name=f"channel_{index}", modality="mri", overall=numbers, foreground=numbers)
            for index in range(int(generator.integers(1, 5)))
        ),
        labels=tuple(LabelFingerprint(name=f"label_{i}", cases=20, voxel_fraction=0.02) for i in range(labels)),
        cases=tuple(
            CaseFingerprint(
                case=f"case_{index:02d}",
                shape=shape,
                cropped_shape=shape,
                spacing_mm=(thickness, 1.0, 1.0),
                orientation="LPS",
            )
            for index in range(20)
        ),
    )


def _budget(generator: np.random.Generator, precision: str) -> Budget:
    gflops = float(np.exp(generator.uniform(np.log(100), np.log(20_000))))
    gigabytes = float(np.exp(generator.uniform(np.log(1.5), np.log(10))))
    return Budget.model_validate(
        {
            "device": "cpu",
            "device_name": "drawn",
            "cores": 2,
            "memory_bytes": int(gigabytes * 1e9),
            "ram_bytes": int(gigabytes * 1e9),
            "disk_bytes": 10**12,
            "precision": precision,
            "throughputs": tuple(
                Throughput.model_validate(
                    {
                        "dimension": dimension,
                        "precision": precision,
                        "flops_per_s": gflops * 1e9,
                        "bytes_per_s": gflops * 5e7,
                    }
                )
                for dimension in (2, 3)
            ),
            "step_overhead_s": 0.005,
            "hours": 10.0,
            "device_gb": gigabytes,
        }
    )
