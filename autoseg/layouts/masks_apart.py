"""Several masks for one image: one label among lesser ones, the work of several readers, or one mask per structure."""

from collections.abc import Sequence

from autoseg.layouts import names


def to_use(masks: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Which masks of an image make its label, told by what they are called.

    A mask that is called nothing but "label" or "seg" is the label; masks by several readers are of the same thing, so
    one of them is (one they agreed on, if there is); a mask of the brain or body beside others is left aside; else each
    shows a structure of its own.

    Args:
        masks: What they are called, without suffix and without the name of their case.

    Returns:
        Those to use, and why not the others; empty if all are used.

    >>> to_use(["seg", "brain_mask"]), to_use(["liver", "spleen"])
    ((('seg',), 'seg is the label'), (('liver', 'spleen'), ''))
    >>> to_use(["rater1", "rater2"])[0]
    ('rater1',)
    """
    if len(masks) < 2:
        return tuple(masks), ""
    plain = [mask for mask in masks if not names.structure(_last(mask))]
    if plain:
        used = min(plain, key=lambda mask: (names.is_faint_mask_name(_last(mask)), mask.count("/"), mask))
        return (used,), f"{used} is the label"
    if all(names.is_rater_name(mask) for mask in masks):
        used = names.preferred_rater(masks)
        return (used,), f"masks of several readers; {used} is used"
    inner = [mask for mask in masks if "/" in mask or not names.is_surrounding_name(mask)]
    if inner and len(inner) < len(masks):
        return to_use(inner)[0], "shows no more than where to look"
    return tuple(sorted(masks)), ""


def _last(mask: str) -> str:
    return mask.rpartition("/")[2]
