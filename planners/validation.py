"""Is a plan legal? For plans that people have edited; those that planners make are.

Every complaint names the field, what was found, what is legal, and the nearest legal value.
"""

from bisect import bisect_right
from collections.abc import Iterator
from math import prod

from planners.contracts import Budget, Configuration, Fingerprint, Plan, Record, with_previous_stages
from planners.errors import InvalidPlan
from planners.memory import planned_bytes, usable_bytes

_LARGEST = 2**31 - 1  # what no size and no count of a plan comes near, and products of a few of which are still floats
_MOST_CONVOLUTIONS = 256


def check(plan: Plan, fingerprint: Fingerprint, budget: Budget) -> None:
    """Refuse a plan that cannot be carried out.

    Args:
        plan: Of any origin.
        fingerprint: The data it is for.
        budget: The machine it is for.

    Raises:
        InvalidPlan: All that is wrong, one line each.
    """
    found = [*_names(plan), *_folds(plan, fingerprint)]
    for index, configuration in enumerate(plan.configurations):
        where = f"configurations[{index}] ({configuration.name})"
        wrong = flaws(configuration)
        mismatched = [*_data(configuration, fingerprint)]
        memory = [] if wrong or mismatched else [*_memory(configuration, fingerprint, budget)]
        found += [f"{where}.{line}" for line in (*wrong, *mismatched, *memory)]
    if found:
        raise InvalidPlan("the plan cannot be carried out:\n  " + "\n  ".join(found))


def flaws(configuration: Configuration) -> tuple[str, ...]:
    """What no data and no machine could make good: one line for each; empty for a configuration that can be built."""
    return tuple(_shape(configuration)) or (*_numbers(configuration), *_patch(configuration))


def _names(plan: Plan) -> Iterator[str]:
    names = [configuration.name for configuration in plan.configurations]
    for index, configuration in enumerate(plan.configurations):
        if configuration.name in names[:index]:
            yield f"configurations[{index}].name: a second {configuration.name!r}; expected each once: remove one"
        before = configuration.previous_stage
        if before is not None and before not in names:
            yield f"configurations[{index}].previous_stage: {before!r} is not planned; expected null or one of {names}"
            return
    try:
        with_previous_stages(names, plan.configurations)
    except ValueError as error:
        yield f"configurations: {error}; expected previous stages that do not lead round in a circle"


def _folds(plan: Plan, fingerprint: Fingerprint) -> Iterator[str]:
    most = max(1, len(fingerprint.cases))
    if plan.folds is not None and not 1 <= plan.folds <= most:
        yield f"folds: {plan.folds}; expected 1 to {most}, the number of cases: use {min(most, max(1, plan.folds))}"


def _shape(configuration: Configuration) -> Iterator[str]:
    """Tuples that do not fit each other; nothing else can be said about such a plan."""
    network, dimension = configuration.network, configuration.dimension
    stages = len(network.features)
    if network.dimension != dimension:
        yield f"network.dimension: {network.dimension}; expected the configuration's {dimension}"
    if len(configuration.training.patch_vox) != dimension:
        yield f"training.patch_vox: {list(configuration.training.patch_vox)}; expected {dimension} edges"
    for index, small in enumerate(configuration.training.smaller_patches):
        if len(small.patch_vox) != dimension:
            where = f"training.smaller_patches[{index}].patch_vox"
            yield f"{where}: {list(small.patch_vox)}; expected {dimension} edges"
    if configuration.axes is not None and sorted(configuration.axes) != [0, 1, 2]:
        yield f"axes: {list(configuration.axes)}; expected 0, 1 and 2 in some order, e.g. [0, 1, 2]"
    for name, length in (
        ("strides", stages),
        ("kernels", stages),
        ("convolutions_encoder", stages),
        ("convolutions_decoder", stages - 1),
    ):
        values = getattr(network, name)
        if len(values) != length:
            yield f"network.{name}: {len(values)} elements; expected {length} for {stages} stages"
        if name in ("strides", "kernels") and any(len(value) != dimension for value in values):
            yield f"network.{name}: elements of other lengths; expected {dimension} numbers each"
    if stages < 2:
        yield f"network.features: {stages} stages; expected two or more"
    yield from _absurd("network", network)
    yield from _absurd("training", configuration.training)


def _absurd(where: str, record: Record) -> Iterator[str]:
    for name, value in record:
        if any(abs(number) > _LARGEST for number in _whole_numbers(value)):
            yield f"{where}.{name}: a number beyond {_LARGEST}; expected a size or count that a machine can hold"


def _whole_numbers(value: object) -> Iterator[int]:
    """The integers in a field, however deep."""
    if isinstance(value, tuple):
        for element in value:
            yield from _whole_numbers(element)
    elif isinstance(value, int):
        yield value


def _numbers(configuration: Configuration) -> Iterator[str]:
    network, training = configuration.network, configuration.training
    for letter, mm in zip("zyx", configuration.spacing_mm, strict=True):
        if mm is not None and mm <= 0:
            yield f"spacing_mm: {mm:g} along {letter}; expected mm above 0, e.g. {abs(mm) or 1:g}"
    if set(network.strides[0]) != {1}:
        yield f"network.strides[0]: {list(network.strides[0])}; expected ones: the first stage has full resolution"
    for name in ("strides", "features", "convolutions_encoder", "convolutions_decoder"):
        least = min(_whole_numbers(getattr(network, name)))
        if least < 1:
            yield f"network.{name}: {least}; expected 1 or more"
    most = max(*network.convolutions_encoder, *network.convolutions_decoder)
    if most > _MOST_CONVOLUTIONS:
        yield f"network: {most} convolutions in one stage; expected at most {_MOST_CONVOLUTIONS}"
    even = [edge for kernel in network.kernels for edge in kernel if edge < 1 or edge % 2 == 0]
    if even:
        yield f"network.kernels: {even[0]}; expected odd numbers, e.g. {max(1, even[0] + 1)}"
    if training.batch < 1:
        yield f"training.batch: {training.batch}; expected 1 or more"
    if training.steps < 1:
        yield f"training.steps: {training.steps}; expected 1 or more"
    if training.learning_rate <= 0:
        yield f"training.learning_rate: {training.learning_rate:g}; expected above 0, e.g. 0.002 (adamw), 0.01 (sgd)"
    if not 0 <= training.foreground_fraction <= 1:
        nearest = min(1, max(0, training.foreground_fraction))
        yield f"training.foreground_fraction: {training.foreground_fraction:g}; expected 0 to 1, e.g. {nearest}"
    for axis in training.augmentation.mirror_axes:
        if not 0 <= axis < configuration.dimension:
            yield f"training.augmentation.mirror_axes: {axis}; expected axes 0 to {configuration.dimension - 1}"


def _data(configuration: Configuration, fingerprint: Fingerprint) -> Iterator[str]:
    network, channels = configuration.network, len(fingerprint.channels)
    masks = 0 if configuration.previous_stage is None else len(fingerprint.labels)
    if network.in_channels != channels + masks:
        also = f" and a mask for each of {masks} labels" if masks else ""
        yield f"network.in_channels: {network.in_channels}; expected {channels + masks}, as the data have{also}"
    if configuration.training.augmentation.masks != masks:
        yield f"training.augmentation.masks: {configuration.training.augmentation.masks}; expected {masks}"
    if network.heads != fingerprint.heads:
        yield f"network.heads: {network.heads}; expected {fingerprint.heads} for the labels of the data"
    if len(configuration.normalization) != channels:
        yield f"normalization: {len(configuration.normalization)} channels; expected {channels}, as the data have"


def _patch(configuration: Configuration) -> Iterator[str]:
    training = configuration.training
    yield from _divisible("training.patch_vox", training.patch_vox, configuration)
    before = 0.0
    for index, small in enumerate(training.smaller_patches):
        where = f"training.smaller_patches[{index}]"
        yield from _divisible(f"{where}.patch_vox", small.patch_vox, configuration)
        larger = [edge for edge, full in zip(small.patch_vox, training.patch_vox, strict=True) if edge > full]
        if larger:
            yield f"{where}.patch_vox: {larger[0]}; expected edges up to those of the patch, {list(training.patch_vox)}"
        if not before < small.until_share <= 1:
            yield f"{where}.until_share: {small.until_share:g}; expected more than {before:g}, where it begins, up to 1"
        before = small.until_share


def _divisible(where: str, patch: tuple[int, ...], configuration: Configuration) -> Iterator[str]:
    for axis, edge in enumerate(patch):
        divisor = prod(stride[axis] for stride in configuration.network.strides)
        if divisor > 0 and (edge < 1 or edge % divisor):
            nearest = max(1, round(edge / divisor)) * divisor
            yield (
                f"{where}[{axis}]: {edge}; expected a multiple of {divisor}, the product of the strides: "
                f"the nearest is {nearest}"
            )


def _memory(configuration: Configuration, fingerprint: Fingerprint, budget: Budget) -> Iterator[str]:
    network, training = configuration.network, configuration.training
    usable, needed = usable_bytes(budget), planned_bytes(network, training, fingerprint.kind)
    if needed <= usable:
        return

    def bytes_of(batch: int) -> int:
        return planned_bytes(network, training.model_copy(update={"batch": batch}), fingerprint.kind)

    fitting = bisect_right(range(1, training.batch), usable, key=bytes_of)
    way_out = f"a batch of {fitting} fits" if fitting else "not even a batch of 1 fits: make the patch smaller"
    yield (
        f"training: {training.batch} patches of {' x '.join(map(str, training.patch_vox))} voxels need "
        f"{needed / 1e9:.2f} GB; expected at most {usable / 1e9:.2f} GB on {budget.device}: {way_out}"
    )
