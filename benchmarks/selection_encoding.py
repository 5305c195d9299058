"""How coarsely may out-of-fold probabilities be kept? Dice error and bytes of several encodings.

    python -m benchmarks.selection_encoding RUN

The predictions of a finished run are known to 1/255. Random numbers up to half of that are added, which gives what a
network could have said, and this is encoded. The Dice error is that of the plain decision, per case and label, against
the one before encoding: its mean (with sign, over cases; what a search sees) and its largest absolute value.
"""

import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.evaluation.scoring import dice_of
from autoseg.outoffold import place
from autoseg.postprocessing import segment
from benchmarks.selection_store import of_run

Heads = npt.NDArray[np.float32]


def rounded(steps: int, dtype: type[np.generic]) -> Callable[[Heads], tuple[npt.NDArray, Heads]]:
    """Whole numbers of 1/steps."""

    def encode(heads: Heads) -> tuple[npt.NDArray, Heads]:
        whole = np.rint(heads * steps)
        kept = whole.astype(dtype) if np.issubdtype(dtype, np.integer) else (whole / steps).astype(dtype)
        return kept, (whole / steps).astype(np.float32)

    return encode


def half(heads: Heads) -> tuple[npt.NDArray, Heads]:
    """Float16 as it is."""
    kept = heads.astype(np.float16)
    return kept, kept.astype(np.float32)


ENCODINGS: dict[str, Callable[[Heads], tuple[npt.NDArray, Heads]]] = {
    "float16, not rounded": half,
    "float16 of 1/1024": rounded(1024, np.float16),
    "float16 of 1/512": rounded(512, np.float16),
    "uint8 of 1/255": rounded(255, np.uint8),
}


def main(run: Path) -> None:
    """Encode every prediction of the first configuration in every way."""
    store, plan, _ = of_run(run)
    labels, name = store.dataset.labels, plan.configurations[0].name
    rng = np.random.default_rng(0)
    sizes: dict[tuple[str, int], int] = {}
    errors: dict[str, list[float]] = {encoding: [] for encoding in ENCODINGS}
    values = 0
    for case, fold in store.held:
        stored, reference = store.read(name, case, fold, mirror=False), store.reference(case)
        shape, spacing = reference.shape, store.scans[case].spacing_mm
        noise = rng.uniform(-1 / 510, 1 / 510, stored.probabilities.shape)
        heads = np.clip(stored.probabilities + noise, 0, 1).astype(np.float32)
        values += heads.size
        true = dice_of(reference, place(segment(heads, labels, spacing), stored.box, shape), labels)
        for encoding, encode in ENCODINGS.items():
            kept, back = encode(heads)
            for level in (1, 6):
                sizes[encoding, level] = sizes.get((encoding, level), 0) + len(zlib.compress(kept.tobytes(), level))
            found = dice_of(reference, place(segment(back, labels, spacing), stored.box, shape), labels)
            errors[encoding] += [f - t for f, t in zip(found, true, strict=True) if f is not None and t is not None]
    print(
        f"{name}: {len(store.held)} cases, {values} probabilities in their boxes; bytes per probability at deflate 1, 6"
    )
    for encoding, found in errors.items():
        size = [sizes[encoding, level] / values for level in (1, 6)]
        print(
            f"{encoding:22} {size[0]:.3f} {size[1]:.3f} bytes   Dice error: mean {np.mean(found):+.1e}, "
            f"largest {np.abs(found).max():.1e}, root of mean square {np.sqrt(np.mean(np.square(found))):.1e}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
