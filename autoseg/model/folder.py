"""The deployable model on disk: ``model.json`` beside ``weights/*.safetensors`` and ``golden.npz``.

A folder is complete where ``model.json`` stands: it is written last, names all other files with their SHA-256, and no
file refers to anything outside. So it can be copied anywhere; and a folder from a stranger is read without running code
from it: JSON, numbers and shapes only, each compared with what the record says before a network takes it.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from autoseg import records
from autoseg.contracts import Model, WeightsFile
from autoseg.errors import RefusedError, UsageError
from autoseg.learn import device as devices
from autoseg.learn import networks
from autoseg.model import golden
from autoseg.model.segmentation import SegmentationModel
from autoseg.model.version import require_known
from autoseg.workspace import ModelFolder
from planners import validation
from planners.contracts import ConfigurationName, NetworkPlan, with_previous_stages

_COPY_AGAIN = "copy the model folder again from where it was made"
_LARGEST_RECORD_BYTES = 16 * 2**20

_checked: set[tuple[str, str]] = set()
"""Models (by digest) and devices that gave their golden output in this process."""


def write(folder: ModelFolder, draft: Model, weights: Callable[[str, int], Path], *, device: str = "cpu") -> Model:
    """Make a model folder.

    Args:
        folder: Where; a model that is there is replaced, and absent until the new one is complete.
        draft: The model's record. Its ``weights`` say which (configuration, fold) networks ship and, unless empty, the
            SHA-256 of each; what belongs to no member is left out. ``file`` and ``golden`` are filled in here.
        weights: Where the weights of a (configuration, fold) lie now.
        device: Where the golden sample is computed.

    Raises:
        RefusedError: Weights are not those of the draft, or do not fit its networks.
    """
    folder.record.unlink(missing_ok=True)
    needed = _needed_only(draft)
    names = {configuration.name for configuration in needed.configurations}
    shipped = tuple(
        _copy(file, weights(file.configuration, file.fold), folder.weights(file.configuration, file.fold), folder)
        for file in draft.weights
        if file.configuration in names
    )
    _remove_strays(folder, shipped)
    record = needed.model_copy(update={"weights": shipped})
    _require_consistent(record, folder)
    sample = golden.to_bytes(golden.make(_build(folder, record, device)))
    records.write_bytes(folder.golden, sample)
    made = record.model_copy(update={"golden": hashlib.sha256(sample).hexdigest()})
    records.write(folder.record, made)
    return made


def load(path: Path, *, device: str = "auto") -> SegmentationModel:
    """Load a model folder; its first load in a process also repeats the golden sample.

    Args:
        path: A folder with ``model.json``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UsageError: This is no model folder, or there is no such device.
        DataError: ``model.json`` is not a valid record.
        RefusedError: A file was changed, does not fit, holds NaN, or the model gives another result than it should.
    """
    folder = ModelFolder(path)
    record = _read_record(folder)
    model = _build(folder, record, device)
    key = (records.digest(record), str(model.device))
    if key not in _checked:
        sample = _read(folder, folder.golden.name, record.golden)
        try:
            golden.check(model, golden.from_bytes(sample))
        except RefusedError as error:
            raise RefusedError(f"{path}: {error}") from error
        except (ArithmeticError, IndexError, MemoryError, RuntimeError, ValueError) as error:
            raise RefusedError(f"{path}: cannot segment its golden sample ({error}); {_COPY_AGAIN}") from error
        _checked.add(key)
    return model


def record_of(path: Path) -> Model:
    """What a model folder's ``model.json`` says, checked as in ``load``.

    Raises:
        UsageError, DataError, RefusedError: See ``load``.
    """
    return _read_record(ModelFolder(path))


def weights_of(path: Path, record: Model, configuration: str, number: int) -> dict[str, Tensor]:
    """The weights of one of a configuration's networks, unchanged since the model was made.

    Args:
        path: The model folder.
        record: Its record.
        configuration: One of its configurations.
        number: Which network; they are counted round and round.

    Raises:
        RefusedError: The file is missing, was changed or does not fit the network.
    """
    files = [file for file in record.weights if file.configuration == configuration]
    file = files[number % len(files)]
    (plan,) = (c.network for c in record.configurations if c.name == configuration)
    network = _network(plan, _read(ModelFolder(path), file.file, file.sha256), path / file.file)
    return dict(network.state_dict())


def identity(record: Model) -> str:
    """Digest of all that decides over masks. The model card does not: its score may be added later."""
    content = record.model_dump(mode="json", exclude={"provenance", "parents", "card", "autoseg_version"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _copy(file: WeightsFile, source: Path, target: Path, folder: ModelFolder) -> WeightsFile:
    content = source.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if file.sha256 and found != file.sha256:
        raise RefusedError(
            f"{source}: the weights have SHA-256 {found[:12]}, expected {file.sha256[:12]} as recorded after training; "
            "delete the job's train.json to train it again"
        )
    records.write_bytes(target, content)
    return file.model_copy(update={"file": target.relative_to(folder.path).as_posix(), "sha256": found})


def _needed_only(draft: Model) -> Model:
    """Without members of no weight, and without configurations that no member is or builds on."""
    members = tuple(member for member in draft.members if member.weight > 0)
    configurations = with_previous_stages({member.configuration for member in members}, draft.configurations)
    return draft.model_copy(update={"members": members, "configurations": configurations})


def _remove_strays(folder: ModelFolder, shipped: tuple[WeightsFile, ...]) -> None:
    """Delete networks of an earlier model, so that the folder holds nothing that ``model.json`` does not name."""
    named = {folder.path / file.file for file in shipped}
    for path in (folder.path / "weights").glob("*.safetensors"):
        if path not in named:
            path.unlink()


# ------------------------------------------------------------------------------------------------------- reading


def _read_record(folder: ModelFolder) -> Model:
    if not folder.record.is_file():
        inner = folder.path / "model"
        meant = f"did you mean {inner}?" if (inner / folder.record.name).is_file() else "a finished run has OUT/model"
        raise UsageError(f"{folder.path}: not a model folder, it has no {folder.record.name}; {meant}")
    size = folder.record.stat().st_size
    if size > _LARGEST_RECORD_BYTES:
        raise RefusedError(f"{folder.record}: {size} bytes, expected at most {_LARGEST_RECORD_BYTES}; {_COPY_AGAIN}")
    require_known(folder.record)
    record = records.read(folder.record, Model)
    _require_consistent(record, folder)
    return record


def _require_consistent(record: Model, folder: ModelFolder) -> None:
    """Refuse a record whose parts do not belong together."""
    members = {member.configuration for member in record.members}
    configurations = sorted(configuration.name for configuration in record.configurations)
    shipped = sorted({file.configuration for file in record.weights})
    problem = ""
    if not _complete(record, members) or configurations != shipped or any(m.weight <= 0 for m in record.members):
        problem = f"members {sorted(members)}, configurations {configurations} and weights of {shipped} do not match"
    for configuration in record.configurations:
        impossible = validation.flaws(configuration)
        network, channels = configuration.network, len(record.channels)
        inputs = channels + (len(record.labels.targets) if configuration.previous_stage is not None else 0)
        if (network.in_channels, network.heads) != (inputs, record.labels.heads):
            problem = (
                f"the network of {configuration.name} maps {network.in_channels} channels to {network.heads} heads, "
                f"expected {inputs} to {record.labels.heads}"
            )
        if impossible:
            problem = f"{configuration.name} cannot be built: {impossible[0]}"
        if len(configuration.normalization) != channels:
            problem = (
                f"{configuration.name} normalizes {len(configuration.normalization)} channels, expected {channels}"
            )
    judged = [one.target for one in record.expectations]
    if len(set(judged)) < len(judged) or not set(judged) <= set(record.labels.targets):
        problem = f"it judges masks of {judged}, expected each once of {list(record.labels.targets)}"
    if problem:
        raise RefusedError(f"{folder.record}: {problem}; {_COPY_AGAIN}")


def _complete(record: Model, members: set[ConfigurationName]) -> bool:
    """Whether the configurations are the members and what they build on, in order; each member once."""
    names = {configuration.name for configuration in record.configurations}
    if not members or len(members) != len(record.members) or len(names) != len(record.configurations):
        return False
    try:
        return members <= names and with_previous_stages(members, record.configurations) == record.configurations
    except ValueError:
        return False


def _read(folder: ModelFolder, name: str, sha256: str) -> bytes:
    """The bytes of a file that the record names, which must be inside the folder and unchanged."""
    root = folder.path.resolve()
    try:
        path = (root / name).resolve()
        there = path.is_file()
    except (OSError, ValueError) as error:  # too long, or with a character that no name has
        raise RefusedError(
            f"{folder.record}: names {name[:60]!r}, which is no file ({error}); {_COPY_AGAIN}"
        ) from error
    if not path.is_relative_to(root):
        raise RefusedError(f"{folder.record}: names {name!r}, which lies outside the model folder; {_COPY_AGAIN}")
    if not there:
        raise RefusedError(f"{folder.path / name}: missing from the model folder; {_COPY_AGAIN}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise RefusedError(
            f"{folder.path / name}: was changed: SHA-256 {found[:12]}, expected {sha256[:12]}; {_COPY_AGAIN}"
        )
    return content


def _build(folder: ModelFolder, record: Model, device: str) -> SegmentationModel:
    """Read all weights and put them into the networks of the plan, on the device."""
    target = devices.resolve(device)
    members: dict[str, list[nn.Module]] = {}
    for configuration in record.configurations:
        files = [file for file in record.weights if file.configuration == configuration.name]
        members[configuration.name] = [
            networks.place(
                _network(configuration.network, _read(folder, file.file, file.sha256), folder.path / file.file),
                target,
                configuration.dimension,
            )
            for file in files
        ]
    return SegmentationModel(record, members, target)


def _network(plan: NetworkPlan, content: bytes, path: Path) -> nn.Module:
    """A planned network with the weights of a safetensors file."""
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise RefusedError(f"{path}: not a safetensors file ({error}); {_COPY_AGAIN}") from error
    network = _shapes_only(plan, path)
    _require_fit(network.state_dict(), tensors, path)
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def _shapes_only(plan: NetworkPlan, path: Path) -> nn.Module:
    """The network without memory behind it, so that nothing is allocated for a plan that does not fit its weights."""
    try:
        with torch.device("meta"):
            return networks.build(plan)
    except (RuntimeError, ValueError, IndexError) as error:
        raise RefusedError(f"{path}: its network cannot be built as planned ({error}); {_COPY_AGAIN}") from error


def _require_fit(wanted: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Refuse weights of other names, shapes or types than planned, and weights that are not numbers."""
    if wanted.keys() != found.keys():
        odd = sorted(wanted.keys() ^ found.keys())[:3]
        raise RefusedError(f"{path}: its tensors are not those of the planned network, e.g. {odd}; {_COPY_AGAIN}")
    for name, tensor in found.items():
        expected = wanted[name]
        if (tensor.shape, tensor.dtype) != (expected.shape, expected.dtype):
            raise RefusedError(
                f"{path}: {name} is {tensor.dtype} {tuple(tensor.shape)}, expected {expected.dtype} "
                f"{tuple(expected.shape)}; {_COPY_AGAIN}"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise RefusedError(f"{path}: {name} holds values that are not finite; train this fold again")
