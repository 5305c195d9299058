"""nnU-Net's stand-in for memory: how many numbers the convolutions of one forward pass write.

Not bytes, and blind to weights, optimizer, precision, input channels and the real number of heads. For memory see
``planners.memory``.
"""

from math import prod

from planners.nnunet.variants import Variant
from planners.topology import Topology


def elements(patch: tuple[int, ...], shape: Topology, label_entries: int, variant: Variant) -> int:
    """Convolution outputs of one sample, channels times voxels, summed over the network.

    Args:
        patch: Edges, divisible by the topology.
        shape: Strides per stage.
        label_entries: Labels that the data set lists: background, every region and ignore count one each.
        variant: Whose network.

    >>> from planners.nnunet.topology import topology
    >>> from planners.nnunet.variants import PLAIN
    >>> elements((128, 128, 128), topology((128, 128, 128), (1.0, 1.0, 1.0)), 3, PLAIN)
    452796416
    """
    stages = len(shape.strides)
    features = variant.features(stages, len(patch))
    voxels, edges = [], patch
    for stride in shape.strides:
        edges = tuple(edge // step for edge, step in zip(edges, stride, strict=True))
        voxels.append(prod(edges))
    maps = [width * count for width, count in zip(features, voxels, strict=True)]
    units = variant.encoder_units(stages)
    encoder = sum(unit * size for unit, size in zip(units, maps, strict=True))
    if variant.encoder == "residual":  # a stem; two convolutions per block; a projection where the shape changes
        changes = (
            size
            for stage, size in enumerate(maps[1:], start=1)
            if features[stage] != features[stage - 1] or prod(shape.strides[stage]) > 1
        )
        encoder = maps[0] + 2 * encoder + sum(changes)
    decoder = sum((variant.decoder_convolutions + 1) * size for size in maps[:-1])  # one more: the transposed one
    head = label_entries * voxels[0] if stages > 1 else 0
    return encoder + decoder + head
