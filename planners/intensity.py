"""Normalization: how each channel's values become network input.

Computed tomography is calibrated, so all its cases share one clipping range and one scale. Everything else has
arbitrary units that differ from image to image, so each image is brought to zero mean and unit variance by itself.
"""

import numpy as np

from planners.contracts import ChannelFingerprint, Fingerprint, Normalization, Reason

CROPPED_SHARE = 0.75  # cropping to non-zero left less than this of a typical image: zeros are not tissue
_SOURCE = "Isensee et al., Nature Methods 18 (2021), intensity normalization"


def normalization(fingerprint: Fingerprint) -> tuple[tuple[Normalization, ...], tuple[Reason, ...]]:
    """One scheme and one reason per channel."""
    share = cropped_share(fingerprint)
    pairs = [_channel(channel, share) for channel in fingerprint.channels]
    return tuple(scheme for scheme, _ in pairs), tuple(reason for _, reason in pairs)


def cropped_share(fingerprint: Fingerprint) -> float:
    """Median over cases of the share of an image's voxels that cropping to the non-zero box leaves."""
    cropped = np.prod([case.cropped_shape for case in fingerprint.cases], axis=1)
    return float(np.median(cropped / np.prod([case.shape for case in fingerprint.cases], axis=1)))


def _channel(channel: ChannelFingerprint, share: float) -> tuple[Normalization, Reason]:
    statistics = channel.foreground or channel.overall
    if channel.modality == "ct" and statistics.std > 0 and statistics.percentile_00_5 < statistics.percentile_99_5:
        return _ct(channel)
    inside = channel.modality != "rgb" and share < CROPPED_SHARE
    because = {
        "rgb": "stain, illumination and contrast differ from image to image, and per-image scaling removes that",
        "ct": "the annotated voxels all have one value, so they define no range",
        "mri": "MRI has no unit; scanners scale each image differently",
        "other": "the unit is unknown and may differ from image to image",
    }[channel.modality]
    if inside:
        because += f"; cropping to non-zero keeps only {share:.0%} of a typical image, so zeros are left out"
    scheme = Normalization(channel=channel.name, scheme="zscore", inside_nonzero=inside)
    chose = "zero mean, unit variance per image" + (", non-zero voxels only" if inside else "")
    return scheme, _reason(channel, chose, because)


def _ct(channel: ChannelFingerprint) -> tuple[Normalization, Reason]:
    statistics = channel.foreground or channel.overall
    scheme = Normalization(
        channel=channel.name,
        scheme="ct",
        lower=statistics.percentile_00_5,
        upper=statistics.percentile_99_5,
        mean=statistics.mean,
        std=statistics.std,
    )
    voxels = "annotated" if channel.foreground is not None else "all"
    chose = f"clip to [{scheme.lower:.4g}, {scheme.upper:.4g}], subtract {scheme.mean:.4g}, divide by {scheme.std:.4g}"
    because = f"Hounsfield units mean the same in every scan; range and scale come from {voxels} voxels of all cases"
    return scheme, _reason(channel, chose, because)


def _reason(channel: ChannelFingerprint, chose: str, because: str) -> Reason:
    overall = channel.overall
    saw = f"channel {channel.name!r}, {channel.modality}: values {overall.minimum:.4g} to {overall.maximum:.4g}"
    return Reason(rule="intensity.normalization", saw=saw, chose=chose, because=because, source=_SOURCE)
