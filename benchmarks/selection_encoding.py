"""How coarsely may out-of-fold probabilities be kept? Dice error and bytes of several encodings.

    python -m benchmarks.selection_encoding RUN

The predictions of a finished run are known to 1/255. Random numbers up to half of that are added, which gives what a
network could have said, and this is encoded. The Dice error is that of a decision against the same one before encoding,
per case and label: its mean (with sign, over cases; what a search sees) and its largest absolute value. Decisions are
the plain one, and one with a bias of a quarter for every label.
"""

import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.contracts import Bias, Decision
from autoseg.evaluation.scoring import dice_of
from autoseg.outoffold import place, quantized
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


def kept(heads: Heads) -> tuple[npt.NDArray, Heads]:
    """What the store writes of exclusive labels."""
    whole = quantized(heads, exclusive=True)
    return whole, whole / np.float32(255)


ENCODINGS: dict[str, Callable[[Heads], tuple[npt.NDArray, Heads]]] = {
    "float16, not rounded": half,
    "float16 of 1/1024": rounded(1024, np.float16),
    "float16 of 1/512": rounded(512, np.float16),
    "uint8 of 1/255": rounded(255, np.uint8),
    "the same, decisions kept": kept,
}


def main(run: Path) -> None:
    """Encode every prediction of the first configuration in every way."""
    store, plan, _ = of_run(run)
    labels, name = store.dataset.labels, plan.configurations[0].name
    rng = np.random.default_rng(0)
    sizes: dict[tuple[str, int], int] = {}
    errors: dict[tuple[str, str], list[float]] = {}
    values = 0
    quarter = Decision(biases=tuple(Bias(target=target, logit=0.25) for target in labels.targets))
    for case, fold in store.held:
        stored, reference = store.read(name, case, fold, mirror=False), store.reference(case)
        noise = rng.uniform(-1 / 510, 1 / 510, stored.probabilities.shape)
        heads = np.clip(stored.probabilities + noise, 0, 1).astype(np.float32)
        values += heads.size
        encoded = {encoding: encode(heads) for encoding, encode in ENCODINGS.items()}
        for encoding, (kept_array, _) in encoded.items():
            for level in (1, 6):
                sizes[encoding, level] = sizes.get((encoding, level), 0) + len(
                    zlib.compress(kept_array.tobytes(), level)
                )
        for what, decision in (("plain", Decision()), ("biased", quarter)):
            arrays = {"": heads} | {encoding: back for encoding, (_, back) in encoded.items()}
            found = {
                encoding: dice_of(
                    reference,
                    place(segment(array, labels, (1.0, 1.0, 1.0), (), decision), stored.box, reference.shape),
                    labels,
                )
                for encoding, array in arrays.items()
            }
            for encoding in encoded:
                pairs = zip(found[encoding], found[""], strict=True)
                errors.setdefault((encoding, what), []).extend(f - t for f, t in pairs if None not in (f, t))
    print(
        f"{name}: {len(store.held)} cases, {values} probabilities in their boxes; bytes per probability at deflate 1, 6"
    )
    for encoding in ENCODINGS:
        size = [sizes[encoding, level] / values for level in (1, 6)]
        print(f"{encoding:25} {size[0]:.3f} {size[1]:.3f}", end="")
        for what in ("plain", "biased"):
            off = np.array(errors[encoding, what])
            print(f"   {what}: mean {off.mean():+.1e}, largest {np.abs(off).max():.1e}", end="")
        print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
