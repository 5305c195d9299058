"""Whether two images show the same voxels, whatever file, container or number type they came from."""

import hashlib
from math import ceil

import numpy as np

SAMPLED_VOXELS = 2**20
"""Larger images are compared at about so many voxels of a regular lattice: no two scans agree on them all by chance."""


def of_image(image: np.ndarray) -> str:
    """A key that equal images share and that different images, in practice, do not.

    Values are compared as 32-bit floats, so that an image and its copy in another number type agree. Equal channels
    count once: a grey picture and the same picture saved as colour are one. The grid's size counts, its spacing does
    not: headers are what copies differ in.

    Args:
        image: (C, z, y, x), any real dtype.

    >>> grey = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2)
    >>> of_image(grey) == of_image(np.repeat(grey.astype(np.float64), 3, axis=0))
    True
    >>> of_image(grey) == of_image(grey[:, ::-1])
    False
    """
    channels = dict.fromkeys(_of_channel(channel) for channel in image)
    return hashlib.sha256(repr((image.shape[1:], list(channels))).encode()).hexdigest()


def _of_channel(channel: np.ndarray) -> str:
    step = max(1, ceil((channel.size / SAMPLED_VOXELS) ** (1 / channel.ndim)))
    sample = channel[(slice(None, None, step),) * channel.ndim].astype(np.float32, order="C")
    sample += np.float32(0)  # -0.0 and 0.0 are one value
    return hashlib.sha256(sample.tobytes()).hexdigest()
