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
    device_gb=None,
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
        device_gb=device_gb,
    )


def with_memory(machine: Budget, memory_bytes: int) -> Budget:
    """The machine with other memory, also for planners that go by what was asked for."""
    return machine.model_copy(update={"memory_bytes": memory_bytes, "device_gb": memory_bytes / GB})


def gpu(**changes) -> Budget:
    """A data-centre accelerator."""
    return budget(**({"device": "cuda:0", "memory_gb": 40.0, "gflops": 60_000.0, "gbytes": 1500.0} | changes))


EDGES = st.one_of(  # one voxel; too few to pool; two stages; ordinary; large; the largest
    st.sampled_from((1, 2, 3, 7, 8)), st.integers(1, 16), st.integers(20, 300), st.integers(200, 2000), st.just(2000)
)
LARGE_EDGES = st.integers(150, 2000)  # data with nothing else are seen at low resolution too
SPACINGS = st.one_of(st.just(1.0), st.floats(0.1, 10.0), st.floats(1e-4, 1e3))
RATIOS = st.one_of(  # how thick slices are: where rules change or used to, on either side, and anything
    st.sampled_from((2.0, 3.0, 4.0)),
    st.floats(1.9, 2.1),
    st.floats(2.9, 3.1),
    st.floats(3.9, 4.1),
    st.floats(1.0, 20.0),
)
WORDS = ("tumor", "kidney_left", "kidney_right", "Anterior", "Posterior", "l_lung", "r_lung", "upper lobe")
NAMES = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True),
    st.integers(5, 100).map(lambda count: [f"structure {index}" for index in range(count)]),
)


@st.composite
def thick_slices(draw: st.DrawFn) -> tuple[float, float, float]:
    """A spacing with slices along any axis."""
    pixel = draw(st.floats(0.3, 2.0))
    return tuple(draw(st.permutations((pixel * draw(RATIOS), pixel, pixel))))


@st.composite
def fingerprints(draw: st.DrawFn) -> Fingerprint:
    """Data of two or three dimensions, from single voxels to 2000 along an axis, with any spacing, 1 to 100 labels."""
    dimension = draw(st.sampled_from((2, 3, 3)))
    known = draw(st.sampled_from((True, True, False)))
    edges = draw(st.sampled_from((EDGES, EDGES, LARGE_EDGES)))
    depth = edges if dimension == 3 else st.just(1)
    shapes = draw(st.lists(st.tuples(depth, edges, edges), min_size=1, max_size=4))
    cropped = shapes
    if draw(st.booleans()):
        cropped = [tuple(draw(st.integers(1, edge)) for edge in shape) for shape in shapes]
    sizes = st.tuples(SPACINGS if dimension == 3 else st.just(1.0), SPACINGS, SPACINGS)
    if dimension == 3:
        sizes = st.one_of(sizes, thick_slices())
    return fingerprint(
        shapes=tuple(shapes),
        spacings=tuple(draw(st.lists(sizes, min_size=1, max_size=3))) if known else ((1.0, 1.0, 1.0),),
        cropped=tuple(cropped),
        modalities=tuple(draw(st.lists(st.sampled_from(("ct", "mri", "rgb", "other")), min_size=1, max_size=4))),
        names=tuple(draw(NAMES)),
        dimension=dimension,
        spacing_known=known,
        kind=draw(st.sampled_from(("exclusive", "regions"))),
        voxel_fraction=draw(st.floats(0.0, 0.5)),
        label_mm=draw(st.one_of(st.none(), st.floats(0.01, 1000.0), st.floats(20.0, 300.0))),
    )


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    """Machines from a weak laptop to a data-centre accelerator, with and without hours."""
    on_gpu = draw(st.booleans())
    memory_gb = draw(st.one_of(st.floats(1.0, 8.0), st.floats(1.0, 160.0)))
    return budget(
        device="cuda:0" if on_gpu else "cpu",
        hours=draw(st.one_of(st.none(), st.floats(0.005, 0.5), st.floats(0.5, 100.0))),
        memory_gb=memory_gb,
        device_gb=draw(st.sampled_from((None, None, memory_gb))),
        gflops=draw(st.floats(5_000.0, 400_000.0) if on_gpu else st.floats(10.0, 5_000.0)),
        gbytes=draw(st.floats(100.0, 5_000.0) if on_gpu else st.floats(1.0, 200.0)),
        preset=draw(st.sampled_from(("fast", "standard", "max"))),
        folds=draw(st.integers(1, 10)),
        precision=draw(st.sampled_from(("fp32", "bf16", "fp16"))),
        deterministic=draw(st.booleans()),
        correction=draw(st.floats(0.3, 5.0)),
    )
