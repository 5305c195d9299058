"""Where nnU-Net's networks pool.

Like our own rule (``planners.topology``) but for what kernels are compared with, and for patches that cannot be pooled
at all; kept apart so that ours can improve without a comparison changing its meaning.
"""

from planners.topology import JOIN_RATIO, LONE_AXIS_EDGE, SMALLEST_EDGE, Topology


def topology(patch: tuple[float, ...], spacing_mm: tuple[float, ...]) -> Topology:
    """Strides and kernels for a patch, whose edges may be fractions (of a median) and need not be divisible.

    >>> topology((20, 256, 224), (5.0, 1.5625, 1.5625)).kernels[:2]
    ((1, 3, 3), (3, 3, 3))
    """
    axes = range(len(patch))
    sizes, spacings, kernel = list(patch), list(spacing_mm), [1] * len(patch)
    strides, kernels = [(1,) * len(patch)], []
    while pooled := _poolable(sizes, spacings):
        finest = min(spacings)
        kernel = [3 if kernel[axis] == 3 or spacings[axis] / finest < JOIN_RATIO else 1 for axis in axes]
        kernels.append(tuple(kernel))
        strides.append(tuple(2 if axis in pooled else 1 for axis in axes))
        sizes = [-(-sizes[axis] // 2) if axis in pooled else sizes[axis] for axis in axes]
        spacings = [2 * spacings[axis] if axis in pooled else spacings[axis] for axis in axes]
    kernels.append((3,) * len(patch))
    return Topology(tuple(strides), tuple(kernels))


def _poolable(sizes: list[float], spacings: list[float]) -> list[int]:
    long_enough = [axis for axis, size in enumerate(sizes) if size >= 2 * SMALLEST_EDGE]
    finest = min((spacings[axis] for axis in long_enough), default=0.0)
    pooled = [axis for axis in long_enough if spacings[axis] / finest < JOIN_RATIO]
    if len(pooled) == 1 and sizes[pooled[0]] < LONE_AXIS_EDGE:
        return []
    return pooled
