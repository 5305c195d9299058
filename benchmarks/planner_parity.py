"""Do our ``nnunet`` planners choose what nnU-Net 2.8.1 chooses? Compare with plans that the real program made.

    python -m benchmarks.planner_parity FILE [--write OUT]

FILE is a JSON list. Each entry has ``input`` (spacings, shapes, n_cases, n_labels, channels, relative_crop),
``planner`` (nnU-Net's class name) and ``gpu_gb_effective``; plans are made from these alone. OUT gets them in the same
format. Where an entry has an ``output`` too, every differing field is printed, and there the exit status is 1.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from planners.nnunet.configuration import Fit
from planners.nnunet.decisions import Decisions, Measured, decide
from planners.nnunet.variants import PLAIN, VARIANTS, Variant

BY_CLASS = {variant.original: variant for variant in VARIANTS.values()}
Json = Any


def measured(given: dict[str, Json]) -> Measured:
    """An entry's data set."""
    return Measured(
        spacings=np.array(given["spacings"], dtype=float),
        shapes=np.array(given["shapes"], dtype=float),
        cases=given["n_cases"],
        label_entries=given["n_labels"],
        channels=tuple(given["channels"]),
        relative_crop=given["relative_crop"],
    )


def as_written(made: Decisions) -> dict[str, Json]:
    """Decisions in the format of the file."""
    fits = {"2d": made.flat}
    if made.low.kept and made.low.found:
        fits["3d_lowres"] = made.low.found
    if made.volume:
        fits["3d_fullres"] = made.volume
    configurations: dict[str, Json] = {name: _configuration(name, one, made) for name, one in fits.items()}
    if made.low.kept:
        configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    return {
        "plans_name": made.variant.plans,
        "image_reader_writer": "SimpleITKIO" if made.volume else "NaturalImage2DIO",  # as for these files
        "transpose_forward": list(made.grid.forward),
        "transpose_backward": list(made.grid.backward),
        "original_median_spacing_after_transp": list(made.grid.original_spacing_mm),
        "original_median_shape_after_transp": list(made.grid.original_shape),
        "configurations": configurations,
        "extra": {
            "lowres_steps": made.low.steps,
            "lowres_dropped": made.low.found is not None and not made.low.kept,
            "proxy": {name: one.elements for name, one in fits.items()},
        },
    }


def _configuration(name: str, one: Fit, made: Decisions) -> dict[str, Json]:
    variant, stages, dimension = made.variant, len(one.shape.strides), len(one.patch)
    plain = variant.encoder == "plain"
    return {
        "spacing": list(one.spacing_mm),
        "patch_size": list(one.patch),
        "batch_size": one.batch,
        "median_shape": list(one.median_shape),
        "strides": [list(stride) for stride in one.shape.strides],
        "kernel_sizes": [list(kernel) for kernel in one.shape.kernels],
        "features_per_stage": list(variant.features(stages, dimension)),
        "n_conv_per_stage" if plain else "n_blocks_per_stage": list(variant.encoder_units(stages)),
        "n_conv_per_stage_decoder": [variant.decoder_convolutions] * (stages - 1),
        "network": "PlainConvUNet" if plain else "ResidualEncoderUNet",
        "normalization": list(made.normalization),
        "use_mask_for_norm": list(made.masked),
        "batch_dice": name == "2d" or (name == "3d_fullres" and made.low.kept),
        "previous_stage": None,
        "next_stage": "3d_cascade_fullres" if name == "3d_lowres" else None,
        "data_identifier": _data_identifier(name, variant),
    }


def _data_identifier(name: str, variant: Variant) -> str:
    """The folder nnU-Net keeps preprocessed data in: at full resolution all four planners use the default's."""
    return f"{variant.plans if name == '3d_lowres' else PLAIN.plans}_{name}"


def differences(ours: Json, theirs: Json, where: str = "") -> Iterator[str]:
    """Every leaf at which two JSON values differ, with its path; floats may differ by rounding."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            yield from differences(ours.get(key), theirs.get(key), f"{where}.{key}" if where else key)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(mine, other, f"{where}[{index}]")
    elif isinstance(ours, float) or isinstance(theirs, float):
        numbers = isinstance(ours, int | float) and isinstance(theirs, int | float)
        if not numbers or not isclose(ours, theirs, rel_tol=1e-9):
            yield f"{where}: ours {ours}, theirs {theirs}"
    elif ours != theirs:
        yield f"{where}: ours {ours}, theirs {theirs}"


def main() -> None:
    """Plan, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    entries = json.loads(asked.file.read_text())
    compared = wrong = 0
    for entry in entries:
        theirs = entry.pop("output", None)
        variant = BY_CLASS[entry["planner"]]
        entry["output"] = as_written(decide(measured(entry["input"]), variant, entry["gpu_gb_effective"]))
        if theirs is not None:
            compared += 1
            found = list(differences(entry["output"], theirs))
            wrong += bool(found)
            for line in found:
                print(f"{entry['id']} {entry['planner']} {entry['gpu_gb_effective']:g} GB: {line}")
    if asked.write:
        asked.write.write_text(json.dumps(entries, indent=1))
    print(f"{len(entries)} plans made, {compared} compared, {compared - wrong} equal in every field")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
