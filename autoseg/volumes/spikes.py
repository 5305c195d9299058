"""Single voxels with absurd values, such as 1e30 from a broken export: they would drown all else in any statistic."""

import numpy as np

ABSURD = 1e5
"""A value this many times further away than the middle 98 % are spread is no measurement."""
MOST, MOST_OF_FEW = 1e-4, 8
"""Share of voxels, or in small images their number, above which they are no spikes, but what the image shows."""
_SAMPLED = 10_000


def clipped(image: np.ndarray) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Bring absurd values back to the largest or smallest sane one of their channel.

    Args:
        image: (C, z, y, x), finite.

    Returns:
        The image, the same one where nothing is absurd; and what was found and done, one pair per channel.

    >>> image = np.arange(4000.0).reshape(1, 10, 20, 20)
    >>> image[0, 0, 0, 0] = 1e30
    >>> float(clipped(image)[0].max()), clipped(image)[1][0][1]
    (3999.0, 'clipped to 3999')
    """
    if image.dtype.kind != "f" and image.dtype.itemsize < 4:
        return image, []  # a small integer cannot be that far away
    told: list[tuple[str, str]] = []
    for number in range(len(image)):
        low, high = _sane(image[number])
        if not low < high or (image[number].min() >= low and image[number].max() <= high):
            continue
        absurd = (image[number] < low) | (image[number] > high)
        if absurd.sum() > max(MOST * absurd.size, MOST_OF_FEW):
            continue
        image = image if told else image.copy()
        sane = image[number][~absurd]
        worst = image[number][absurd][np.abs(image[number][absurd]).argmax()]
        np.clip(image[number], sane.min(), sane.max(), out=image[number])
        bound = sane.max() if worst > 0 else sane.min()
        share = f"{int(absurd.sum())} of {absurd.size} voxels"
        told.append((f"{share} of channel {number} have absurd values, up to {worst:.3g}", f"clipped to {bound:g}"))
    return image, told


def _sane(channel: np.ndarray) -> tuple[float, float]:
    """Limits beyond which a value is absurd."""
    sample = channel.reshape(-1)[:: -(-channel.size // _SAMPLED)].astype(np.float64)
    low, high = np.percentile(sample, (1, 99))
    return float(low - ABSURD * (high - low)), float(high + ABSURD * (high - low))
