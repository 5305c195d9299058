"""How fast and how lean is the look at raw data, beside what cannot be avoided: decompressing it.

    python -m benchmarks.inspect_speed [HIPPOCAMPUS]

Makes a CT of 512x512x400 voxels and a label for it in a temporary folder and prints, for the best of five rounds,

    CT     read, audited and measured, relative to decompressing it and passing over it once   (wanted: at most 1.5)
    label  read, translated, its components found, relative to decompressing it                (wanted: at most 3)
    memory while that is done, in volumes of the CT                                            (wanted: at most 3)

and, given the folder ``Task04_Hippocampus``, the seconds that ``autoseg inspect`` takes of it (wanted: below 3).
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import psutil
from isal import isal_zlib
from scipy import ndimage

from autoseg.contracts import Case
from autoseg.formats import content
from autoseg.intake.examination import Task, examine

SHAPE = (512, 512, 400)  # x, y, z
ORGANS = 12
ROUNDS = 5


def make_ct(folder: Path) -> None:
    """A body with organs, noise that compresses like a scanner's, and a label of twelve organs."""
    generator = np.random.default_rng(0)
    coarse = ndimage.zoom(generator.normal(0, 1, (16, 16, 13)), np.array(SHAPE) / (16, 16, 13), order=1)
    x, y = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    body = (x**2 / 0.6 + y**2 / 0.35 < 1)[..., None]
    noise = generator.normal(0, 12, SHAPE)
    image = np.where(body, 40 + 60 * coarse + noise, -1000 + noise / 3).astype(np.int16)
    label = np.zeros(SHAPE, np.uint8)
    for value in range(1, ORGANS + 1):
        center, edges = generator.uniform(0.3, 0.7, 3) * SHAPE, generator.uniform(40, 160, 3)
        box = tuple(slice(int(c - e / 2), int(c + e / 2)) for c, e in zip(center, edges, strict=True))
        label[box][coarse[box] > -0.3] = value
    affine = np.diag([0.8, 0.8, 1.5, 1.0])  # RAS, so that reading has to turn it
    for name, array in (("image", image), ("label", label)):
        nibabel.Nifti1Image(array, affine).to_filename(folder / f"{name}.nii.gz")


def best(*works: Callable[[], object]) -> list[float]:
    """Seconds of the fastest round of each, taken in turns, so that a busy moment of the machine hits all alike."""
    seconds = [np.inf] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            started = time.perf_counter()
            work()
            seconds[number] = min(seconds[number], time.perf_counter() - started)
    return seconds


def decompression(path: Path) -> Callable[[], object]:
    """Decompress a file in one go, with nothing else done."""
    packed = path.read_bytes()
    return lambda: isal_zlib.decompress(packed, wbits=31, bufsize=int(np.prod(SHAPE)) * 2 + 352)


def measured(folder: Path) -> Callable[[], object]:
    """The look at image and label, as every case is looked at."""
    return examined(folder, Case(case="ct", subject="ct", images=("image.nii.gz",), label="label.nii.gz"))


def image_only(folder: Path) -> Callable[[], object]:
    """The look at the image alone."""
    return examined(folder, Case(case="ct", subject="ct", images=("image.nii.gz",)))


def examined(folder: Path, case: Case) -> Callable[[], object]:
    """One examination; a problem with the case would be a problem of this script."""

    def work() -> object:
        found = examine(Task(folder, case, None, None, None))
        if found.scan is None:
            raise SystemExit(found.problem)
        return found

    return work


def peak_volumes(folder: Path) -> float:
    """Most memory that a fresh process takes for the look, beyond its libraries, in volumes of the CT."""
    code = (
        "import sys, pathlib, re\n"
        "from benchmarks.inspect_speed import measured\n"
        "pathlib.Path('/proc/self/clear_refs').write_text('5')\n"  # forgets the peak that came from the parent
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "measured(pathlib.Path(sys.argv[1]))()\n"
        "print((peak() - before) * 1024)\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
    return int(said.stdout) / (2 * float(np.prod(SHAPE)))


def main() -> None:
    """Print the ratios."""
    print(f"{len(psutil.Process().cpu_affinity())} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_ct(folder)
        voxels = np.frombuffer(content.load(folder / "image.nii.gz"), np.uint8)
        print(f"the CT is {2 * np.prod(SHAPE) / len(voxels):.2f} times smaller when compressed")
        unpacking = [decompression(folder / f"{name}.nii.gz") for name in ("image", "label")]
        passing = np.ones(SHAPE, np.int16).copy
        ct, label, one_pass, alone, both = best(*unpacking, passing, image_only(folder), measured(folder))
        print(f"CT     {alone:.2f} s, decompressing {ct:.2f} s, one pass {one_pass:.2f} s: {alone / ct:.2f} times")
        print(f"       allowed are {1.5 * ct + one_pass:.2f} s")
        print(f"label  {both - alone:.2f} s, decompressing {label:.2f} s: {(both - alone) / label:.2f} times")
        print(f"memory {peak_volumes(folder):.2f} volumes")
    for source in sys.argv[1:]:
        command = [sys.executable, "-m", "autoseg", "inspect", source, "--json"]
        (seconds,) = best(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))  # noqa: B023
        print(f"inspect {source}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
