"""New images against the population a model was made from: hardly any like it is doubted, all unlike it are."""

import functools

import numpy as np
import pytest

from autoseg.contracts import ChannelPopulation, Settings
from autoseg.model import population
from autoseg.stages import dataset as stage
from autoseg.volumes import likeness
from tests.model import tiny
from tests.real_data import real


def sketches(cases, seed=0, kind="gamma"):
    from autoseg.intake.scanning import sketch

    return [sketch(values(seed + number, kind).ravel()) for number in range(cases)]


def values(seed, kind="gamma", shape=(20, 20, 20)):
    generator = np.random.default_rng(seed)
    if kind == "ct":
        return np.where(generator.random(shape) < 0.4, -1000, generator.normal(40, 60, shape)).astype(np.int16)
    return generator.gamma(2, 50, shape) if kind == "gamma" else generator.normal(500, 90, shape)


def card(*kinds, **changes):
    intensities = tuple(population.of_channel(sketches(20, kind=kind), hounsfield=kind == "ct") for kind in kinds)
    known = {"extent_min_mm": (12.0, 12.0, 12.0), "extent_max_mm": (64.0, 64.0, 64.0), "intensities": intensities}
    return tiny.draft(channels=tuple(kinds)).card.model_copy(update=known | changes)


def doubts(known, image, spacing=(1.0, 1.0, 1.0)):
    return population.doubts(known, image, spacing, spacing_known=True)


def test_images_like_those_seen_are_trusted():
    assert doubts(card("gamma"), values(99)[None]) == ()
    assert doubts(card("ct", "gamma"), np.stack([values(99, "ct"), values(99)])) == ()
    assert doubts(card("gamma"), 1e5 * values(99)[None]) == ()  # MRI has no unit


def test_a_card_without_intensities_doubts_none():
    assert doubts(tiny.draft().card, -values(99)[None]) == ()


@pytest.mark.fault(
    91,
    "a model used on another modality, spacing, field of view or grid",
    "segmented, with `ood` and the numbers in predict.json",
)
@pytest.mark.parametrize(
    ("kinds", "image", "spacing", "says"),
    [
        (["gamma"], values(9, "ct")[None], (1, 1, 1), "the histogram is unlike any seen"),
        (["ct"], values(9, "normal")[None], (1, 1, 1), "HU outside the range seen"),
        (["gamma"], values(9)[None], (6, 2, 2), "voxels of 6 x 2 x 2 mm along"),
        (["gamma"], values(9, shape=(20, 20, 130))[None], (1, 1, 1), "20 x 20 x 130 voxels"),
        (["gamma"], values(9, shape=(20, 20, 60))[None], (2.5, 2.5, 2.5), "field of view of 50 x 50 x 150 mm"),
        (["gamma"], values(9, shape=(1, 20, 20))[None], (1, 1, 1), "a single slice"),
    ],
)
def test_other_images_are_doubted_with_numbers(kinds, image, spacing, says):
    assert any(says in doubt for doubt in doubts(card(*kinds), image, tuple(map(float, spacing))))


@pytest.mark.fault(33, "constant image to predict", "segmented, with `ood`: no signal")
def test_a_constant_channel_is_no_signal():
    image = np.stack([values(9), np.full((20, 20, 20), 3.0)])
    assert doubts(card("gamma", "normal"), image) == (
        "no signal: every voxel of channel 1 has the same value; do not trust the mask",
    )


@pytest.mark.fault(
    36, "HU offset or inverted values in an image to predict", "told before time is spent on trusting the mask"
)
def test_offset_and_inverted_values():
    assert "about 1024 HU above" in doubts(card("ct"), values(9, "ct")[None] + np.int16(1024))[0]
    assert "inverted" in doubts(card("ct"), -values(9, "ct")[None])[0]
    assert "inverted" in doubts(card("gamma"), values(9).max() - values(9)[None])[0]


@pytest.mark.fault(40, "channels in another order than in training", "told which two look swapped")
def test_swapped_channels():
    image = np.stack([values(9, "normal"), values(9)])
    assert doubts(card("gamma", "normal"), image) == (
        "channels 0 and 1 look swapped: each resembles the other in training more than its own",
    )


def test_the_card_keeps_no_more_than_curves():
    made = population.of_channel(sketches(200), hounsfield=False)
    assert ChannelPopulation.model_validate_json(made.model_dump_json()) == made
    assert len(made.examples) <= likeness.MOST_EXAMPLES
    assert len(made.low) == len(made.high) == likeness.POINTS
    assert len(made.model_dump_json()) < 20_000


# ------------------------------------------------------------------------------------------------------ real data


@functools.cache
def curves(name):
    """Curves of every case and channel: [channel][case]."""
    _, scans = stage.inspect(real(name), Settings())
    channels = range(len(scans[0].overall))
    return [[likeness.curve(scan.overall[channel].quantiles) for scan in scans] for channel in channels]


def left_out(name):
    """Each case with the populations of all others, one per channel."""
    every = curves(name)
    for number in range(len(every[0])):
        others = [channel[:number] + channel[number + 1 :] for channel in every]
        yield (
            [channel[number] for channel in every],
            [likeness.population(channel, hounsfield=name == "sts_ct") for channel in others],
        )


def doubted(name, change=lambda values: values):
    """Share of cases, left out in turn and changed, with a doubt about any channel."""
    told = [
        any(likeness.doubt(change(values), known) for values, known in zip(case, populations, strict=True))
        for case, populations in left_out(name)
    ]
    return sum(told) / len(told)


@pytest.mark.data
@pytest.mark.parametrize("name", ["Task04_Hippocampus", "sts_ct", "nuclei_png", "sunnybrook_cine"])
def test_hardly_any_case_that_is_left_out_is_doubted(name):
    assert doubted(name) < 0.05


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "change", "least"),
    [
        ("sts_ct", lambda values: values + 1024, 1.0),
        ("sts_ct", lambda values: -values[::-1], 1.0),
        ("sunnybrook_cine", lambda values: -values[::-1], 1.0),
        ("Task04_Hippocampus", lambda values: -values[::-1], 0.7),  # brain tissue has a nearly symmetrical histogram
        ("nuclei_png", lambda values: 255 - values[::-1], 0.7),  # some stains look like the others inverted
    ],
)
def test_changed_images_are_doubted(name, change, least):
    assert doubted(name, change) >= least


@pytest.mark.data
@pytest.mark.parametrize(
    ("model", "images"),
    [
        ("Task04_Hippocampus", "sts_ct"),
        ("sts_ct", "Task04_Hippocampus"),
        ("sts_ct", "sunnybrook_cine"),
        ("sunnybrook_cine", "sts_ct"),
    ],
)
def test_ct_and_mr_are_told_apart(model, images):
    known = likeness.population(curves(model)[0], hounsfield=model == "sts_ct")
    assert all(likeness.doubt(values, known) for values in curves(images)[0])
