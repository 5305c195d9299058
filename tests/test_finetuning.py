"""A run that starts from another run's model, on phantoms."""

import pytest
import safetensors.torch
import torch

from autoseg import finetuning, pipeline, records
from autoseg.contracts import Region
from autoseg.errors import ChangedInputs, UsageError
from autoseg.labelling import infer
from autoseg.workspace import Workspace
from planners.contracts import Plan
from tests import quick


@pytest.fixture
def known(finished):
    """The model of a run."""
    return finished / "model"


def test_a_run_goes_on_from_a_model(known, source, tmp_path):
    asked = quick.SETTINGS.model_copy(update={"init": str(known)})
    out = quick.prepare(tmp_path / "out", asked)
    pipeline.run(source, out, asked)
    workspace = Workspace(out)
    made = records.read(workspace.record("plan"), Plan)
    start = finetuning.read(known)
    assert made.configurations[0].network == start.configuration.network
    assert made.configurations[0].training.patch_vox == start.configuration.training.patch_vox
    before = safetensors.torch.load_file(next((known / "weights").glob("*.safetensors")))
    after = safetensors.torch.load_file(workspace.job("3d_fullres", 0).weights)
    moved = torch.cat([(after[n] - before[n]).flatten() for n in before]).norm()
    size = torch.cat([before[n].flatten() for n in before]).norm()
    assert 0 < moved < 0.5 * size, "it did not start from the model's weights"
    events = "".join(log.read_text() for log in (out / "events").glob("*.jsonl"))
    assert "every channel is known by name; every label is known by name" in events
    with pytest.raises(ChangedInputs, match="init"):
        pipeline.run(source, out, quick.SETTINGS)


def test_a_folder_without_a_model_is_an_error(source, tmp_path):
    asked = quick.SETTINGS.model_copy(update={"init": str(source)})
    with pytest.raises(UsageError, match="not a model folder"):
        pipeline.run(source, quick.prepare(tmp_path / "out", asked), asked)


def test_heads_follow_the_names_of_labels():
    named = infer([0, 1, 2], names={1: "liver", 2: "spleen"})
    other = infer([0, 5, 6, 7], names={5: "Spleen", 6: "kidney", 7: "liver"})
    assert finetuning._heads(other, named) == (0, 2, None, 1)  # the background first
    whole = Region(name="Liver", members=(1, 2), writes=1)
    regions = named.model_copy(update={"kind": "regions", "regions": (whole,)})
    assert finetuning._heads(regions, regions) == (0,)
    assert finetuning._heads(named, regions) == (None, None, None)  # its heads stand alone, ours compete
