"""Hypothesis strategies and builders for planning records: data of any size and machines of any strength."""

import math

from hypothesis import strategies as st

from planners.contracts import (
    Budget,
    CaseFingerprint,
    ChannelFingerprint,
    Fingerprint,
    IntensityStatistics,
    LabelFingerprint,
    Throughput,
)

GB = 10**9


def statistics(low: float = 0.0, high: float = 100.0) -> IntensityStatistics:
    middle, spread = (low + high) / 2, (high - low) / 4
    return IntensityStatistics(
        count=1000,
        mean=middle,
        std=spread,
        minimum=low,
        percentile_00_5=low + spread / 10,
        median=middle,
        percentile_99_5=high - spread / 10,
        maximum=high,
    )


def fingerprint(
    shapes=((36, 50, 35),),
    spacings=((1.0, 1.0, 1.0),),
    *,
    cropped=None,
    modalities=("mri",),
    names=("tumor",),
    dimension=3,
    spacing_known=True,
    kind="exclusive",
    voxel_fraction=0.02,
    label_mm=None,
) -> Fingerprint:
    """A fingerprint whose cases have these shapes; spacings and cropped shapes repeat as needed.

    Labels are balls of ``label_mm``; None: of unknown size.
    """
    ball = {} if label_mm is None else {"volume_mm3": math.pi * label_mm**3 / 6, "extent_mm": (float(label_mm),) * 3}
    cropped = cropped or shapes
    cases = tuple(
        CaseFingerprint(
            case=f"case_{index:04d}",
            shape=shape,
            spacing_mm=spacings[index % len(spacings)],
            orientation="LPS",
            cropped_shape=cropped[index % len(cropped)],
        )
        for index, shape in enumerate(shapes)
    )
    return Fingerprint(
        dimension=dimension,
        spacing_known=spacing_known,
        kind=kind,
        heads=len(names) + (kind == "exclusive"),
        has_ignore=False,
        subjects=len(cases),
        channels=tuple(
            ChannelFingerprint(
                name=f"channel_{index}",
                modality=modality,
                overall=statistics(-1000, 2000),
                foreground=statistics(-50, 250),
            )
            for index, modality in enumerate(modalities)
        ),
        labels=tuple(
            LabelFingerprint(name=name, cases=len(cases), voxel_fraction=voxel_fraction, **ball) for name in names
        ),
        cases=cases,
    )


def budget(
    *,
    device="cpu",
    hours=None,
    memory_gb=8.0,
    gflops=200.0,
    gbytes=10.0,
    preset="standard",
    folds=5,
    precision="bf16",
    deterministic=False,
    correction=1.0,
) -> Budget:
    """A machine, by default one with two ordinary cores; ``device="cuda:0"`` wants other speeds."""
    throughputs = tuple(
        Throughput(dimension=dimension, precision=precision, flops_per_s=gflops * 1e9, bytes_per_s=gbytes * 1e9)
        for dimension in (2, 3)
    )
    return Budget(
        device=device,
        device_name="a phantom machine",
        cores=2,
        memory_bytes=int(memory_gb * GB),
        ram_bytes=16 * GB,
        disk_bytes=100 * GB,
        precision=precision,
        throughputs=throughputs,
        step_overhead_s=0.005,
        preset=preset,
        hours=hours,
        folds=folds,
        deterministic=deterministic,
        step_time_correction=correction,
    )


def gpu(**changes) -> Budget:
    """A data-centre accelerator."""
    return budget(**({"device": "cuda:0", "memory_gb": 40.0, "gflops": 60_000.0, "gbytes": 1500.0} | changes))


EDGES = st.one_of(st.integers(1, 12), st.integers(20, 300), st.integers(200, 2000))
SPACINGS = st.one_of(st.just(1.0), st.floats(0.1, 10.0), st.floats(1e-4, 1e3))
NAMES = st.lists(
    st.sampled_from(
        ("tumor", "kidney_left", "kidney_right", "Anterior", "Posterior", "l_lung", "r_lung", "upper lobe")
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def fingerprints(draw: st.DrawFn) -> Fingerprint:
    """Data of two or three dimensions, from single voxels to 2000 along an axis, with any spacing."""
    dimension = draw(st.sampled_from((2, 3)))
    known = draw(st.booleans())
    depth = EDGES if dimension == 3 else st.just(1)
    shapes = draw(st.lists(st.tuples(depth, EDGES, EDGES), min_size=1, max_size=4))
    sizes = st.tuples(SPACINGS if dimension == 3 else st.just(1.0), SPACINGS, SPACINGS)
    return fingerprint(
        shapes=tuple(shapes),
        spacings=tuple(draw(st.lists(sizes, min_size=1, max_size=3))) if known else ((1.0, 1.0, 1.0),),
        cropped=tuple(tuple(draw(st.integers(1, edge)) for edge in shape) for shape in shapes),
        modalities=tuple(draw(st.lists(st.sampled_from(("ct", "mri", "rgb", "other")), min_size=1, max_size=4))),
        names=tuple(draw(NAMES)),
        dimension=dimension,
        spacing_known=known,
        kind=draw(st.sampled_from(("exclusive", "regions"))),
        voxel_fraction=draw(st.floats(0.0, 0.5)),
        label_mm=draw(st.one_of(st.none(), st.floats(0.01, 1000.0))),
    )


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    """Machines from a weak laptop to a data-centre accelerator, with and without hours."""
    on_gpu = draw(st.booleans())
    return budget(
        device="cuda:0" if on_gpu else "cpu",
        hours=draw(st.one_of(st.none(), st.floats(0.005, 0.5), st.floats(0.5, 100.0))),
        memory_gb=draw(st.floats(1.0, 160.0)),
        gflops=draw(st.floats(5_000.0, 400_000.0) if on_gpu else st.floats(10.0, 5_000.0)),
        gbytes=draw(st.floats(100.0, 5_000.0) if on_gpu else st.floats(1.0, 200.0)),
        preset=draw(st.sampled_from(("fast", "standard", "max"))),
        folds=draw(st.integers(1, 10)),
        precision=draw(st.sampled_from(("fp32", "bf16", "fp16"))),
        deterministic=draw(st.booleans()),
        correction=draw(st.floats(0.3, 5.0)),
    )
