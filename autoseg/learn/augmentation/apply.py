"""Applying what was drawn: all channels of a batch that drew a change go through it together."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from autoseg.learn.augmentation import intensity
from autoseg.learn.augmentation.drawing import Intensities
from autoseg.learn.transfer import send

P = TypeVar("P")


def change_intensities(images: Tensor, drawn: Sequence[Intensities]) -> None:
    """Change the channels of a batch as drawn, one kind of change after the other.

    Args:
        images: (B, C, *patch) float32, contiguous; changed in place.
        drawn: For each sample.
    """
    _change(images, [d.noise for d in drawn], intensity.noise)
    _change(images, [d.blur for d in drawn], intensity.blur)
    _change(images, [d.brightness for d in drawn], intensity.brightness)
    _change(images, [d.contrast for d in drawn], intensity.contrast)
    _change(images, [d.low_resolution for d in drawn], intensity.low_resolution)
    _change(images, [d.gamma_inverted for d in drawn], partial(intensity.gamma, inverted=True))
    _change(images, [d.gamma for d in drawn], partial(intensity.gamma, inverted=False))


def _change(images: Tensor, drawn: Sequence[Mapping[int, P]], change: Callable[[Tensor, Sequence[P]], None]) -> None:
    channels = images.view(-1, *images.shape[2:])
    places = [sample * images.shape[1] + channel for sample, taken in enumerate(drawn) for channel in taken]
    parameters = [values for taken in drawn for values in taken.values()]
    if len(places) == 1:
        change(channels[places[0]][None], parameters)  # where it is, with nothing copied
    elif places:
        index = send(torch.tensor(places), images.device)
        together = channels.index_select(0, index)
        change(together, parameters)
        channels.index_copy_(0, index, together)
