"""A model whose member builds on a first stage that is no member itself."""

import numpy as np
import pytest

from autoseg import model
from autoseg.contracts import Blend, Member, Model, WeightsFile
from autoseg.errors import RefusedError
from autoseg.learn import infer
from autoseg.volumes.blending import mean, on_scale
from autoseg.volumes.labels import one_hot
from autoseg.workspace import ModelFolder
from tests.learn.tiny import predict_volume
from tests.model import tiny

FIRST, SECOND = "3d_lowres", "3d_cascade_fullres"


def cascade(folds: int = 1) -> Model:
    """Both stages at 1 mm, so that no resampling hides what goes in."""
    base = tiny.draft(members=((SECOND, 1.0),))
    first = tiny.configuration(FIRST, 3, 1, base.labels.heads)
    second = tiny.configuration(SECOND, 3, 1, base.labels.heads)
    network = second.network.model_copy(update={"in_channels": 1 + len(base.labels.targets)})
    return base.model_copy(
        update={
            "configurations": (first, second.model_copy(update={"network": network, "previous_stage": FIRST})),
            "members": (Member(configuration=SECOND, weight=1.0),),
            "weights": tuple(
                WeightsFile(configuration=name, fold=fold, file="", sha256="")
                for name in (FIRST, SECOND)
                for fold in range(folds)
            ),
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cascade") / "model"
    tiny.make(folder, cascade())
    return folder


def test_the_first_stage_ships_although_it_is_no_member(made):
    names = {path.name for path in (made / "weights").iterdir()}
    assert names == {f"{FIRST}_fold_0.safetensors", f"{SECOND}_fold_0.safetensors"}


def test_the_second_stage_sees_the_masks_of_the_first(made):
    loaded = model.load(made, device="cpu")
    image = np.random.default_rng(0).normal(100, 20, (1, 16, 16, 16)).astype(np.float32)
    prepared = (image - image.mean()) / image.std()
    first, second = (loaded._networks[name] for name in (FIRST, SECOND))
    settings = (16, 16, 16), "softmax", (), loaded.device, "fp32"
    classes = predict_volume(first, prepared, *settings).argmax(0).astype(np.uint8)
    assert len(np.unique(classes)) > 1
    masks = one_hot(classes, loaded.labels.members)
    expected = predict_volume(second, np.concatenate((prepared, masks)), *settings)
    found = loaded.canonical_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("both", [False, True])
def test_mirrored_copies_are_of_the_second_stage_alone(made, both):
    """Its mirrored copies were judged on masks of the first stage that were made without."""
    loaded = model.load(made, device="cpu")
    members = (Member(configuration=FIRST, weight=1.0),) if both else ()
    loaded = loaded.with_record(loaded.record.model_copy(update={"members": (*members, *loaded.record.members)}))
    image = np.random.default_rng(0).normal(100, 20, (1, 16, 16, 16)).astype(np.float32)
    prepared = (image - image.mean()) / image.std()
    first, second = (loaded._networks[name] for name in (FIRST, SECOND))
    plain, mirrored = (((16, 16, 16), "softmax", axes, loaded.device, "fp32") for axes in ((), (0, 1, 2)))
    masks = one_hot(predict_volume(first, prepared, *plain).argmax(0).astype(np.uint8), loaded.labels.members)
    expected = predict_volume(second, np.concatenate((prepared, masks)), *mirrored)
    if both:
        expected = (expected + predict_volume(first, prepared, *mirrored)) / 2
    found = loaded.canonical_probabilities(image, (1.0, 1.0, 1.0), tta="full")
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_blend_of_both_stages_fold_by_fold(tmp_path):
    """Each fold's stages are blended alone, but every second stage sees the masks that all folds of the first make."""
    how = Blend(scale="logits")
    tiny.make(tmp_path / "model", cascade(folds=2))
    loaded = model.load(tmp_path / "model", device="cpu")
    members = (Member(configuration=FIRST, weight=0.25), Member(configuration=SECOND, weight=0.75))
    loaded = loaded.with_record(loaded.record.model_copy(update={"members": members, "blend": how}))
    image = np.random.default_rng(0).normal(100, 20, (1, 16, 16, 16)).astype(np.float32)
    prepared = (image - image.mean()) / image.std()
    settings = (16, 16, 16), "softmax", (), loaded.device, "fp32"
    first, second = (loaded._networks[name] for name in (FIRST, SECOND))
    classes = predict_volume(first, prepared, *settings).argmax(0).astype(np.uint8)
    seen = np.concatenate((prepared, one_hot(classes, loaded.labels.members)))
    blends = []
    for fold in range(2):
        parts = [predict_volume([first[fold]], prepared, *settings), predict_volume([second[fold]], seen, *settings)]
        scaled = [on_scale(part, "exclusive", how.scale, how.temperature) for part in parts]
        blends.append(mean(scaled, [0.25, 0.75], "exclusive", how.scale))
    found = loaded.canonical_probabilities(image, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found, np.mean(blends, axis=0), atol=1e-4)


@pytest.mark.parametrize("tta", ["none", "full"])
@pytest.mark.parametrize("members", [((SECOND, 1.0),), ((FIRST, 0.5), (SECOND, 0.5))])
def test_progress_is_told_of_both_stages_and_never_goes_back(made, monkeypatch, tta, members):
    monkeypatch.setitem(infer.VOXELS_PER_BATCH, "cpu", 1)
    loaded = model.load(made, device="cpu")
    blend = tuple(Member(configuration=name, weight=weight) for name, weight in members)
    loaded = loaded.with_record(loaded.record.model_copy(update={"members": blend}))
    told = []
    loaded.blended(np.zeros((1, 40, 16, 16), np.float32) + np.arange(16), (1.0, 1.0, 1.0), tta=tta, tell=told.append)
    assert told == sorted(set(told)) and told[-1] == 1.0
    assert len(told) == 4 * (3 if tta == "full" and len(members) == 2 else 2)


def test_axes_that_are_no_order_are_refused(made, tmp_path):
    record = model.load(made, device="cpu").record
    twisted = record.configurations[0].model_copy(update={"axes": (0, 0, 5)})
    broken = record.model_copy(update={"configurations": (twisted, *record.configurations[1:])})
    (tmp_path / "model.json").write_text(broken.model_dump_json())
    with pytest.raises(RefusedError, match="expected 0, 1 and 2 in some order"):
        model.load(tmp_path, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: {"configurations": record.configurations[1:]},
        lambda record: {"configurations": record.configurations[::-1]},
        lambda record: {
            "configurations": (
                record.configurations[0].model_copy(update={"previous_stage": SECOND}),
                record.configurations[1],
            )
        },
    ],
)
def test_a_chain_that_cannot_be_followed_is_refused(made, tmp_path, change):
    record = model.load(made, device="cpu").record
    broken = record.model_copy(update=change(record))
    (tmp_path / "model.json").write_text(broken.model_dump_json())
    with pytest.raises(RefusedError, match="do not match|maps 1 channels"):
        model.load(ModelFolder(tmp_path).path, device="cpu")
