"""Whatever bytes a DICOM file holds, reading it gives a result or an error that a user can act on."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoseg import formats
from autoseg.errors import AutosegError
from autoseg.formats.dicom.catalogue import entry
from tests import dicom_made as made

SHAPE = (3, 6, 6)
MASK = made.box(SHAPE, z=slice(1, 2), y=slice(1, 4))
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["set", "cut", "insert", "end"]), st.binary(min_size=1, max_size=6)),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changes: list[tuple[float, str, bytes]]) -> bytes:
    for where, how, piece in changes:
        at = 128 + int(where * (len(content) - 128))
        after = {"set": at + len(piece), "cut": at + len(piece), "insert": at, "end": len(content)}[how]
        content = content[:at] + (b"" if how in ("cut", "end") else piece) + content[after:]
    return content


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("good")
    files = made.series(folder / "ct", made.voxels(SHAPE))
    return {
        "image": files[0],
        "slice": files[1],
        "frames": made.enhanced(folder / "mf.dcm", made.voxels(SHAPE)),
        "segmentation": made.segmentation(folder / "s.seg", {"a": MASK}, files),
        "label map": made.segmentation(folder / "m.seg", {"a": MASK}, files, "LABELMAP"),
        "contours": made.rtstruct(folder / "rs", {"a": [made.rectangle(1, (1, 4), (1, 4))]}, files),
    }


@pytest.mark.fault(1, "any bytes of a DICOM file changed, lost or added", "read, or quarantined with the file named")
@pytest.mark.parametrize("kind", ["slice", "frames", "segmentation", "label map", "contours"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(changes=CHANGES)
def test_damage_is_never_a_crash(good: dict[str, Path], kind: str, changes: list[tuple[float, str, bytes]]) -> None:
    path = good[kind]
    content = path.read_bytes()
    try:
        path.write_bytes(damaged(content, changes))
        assert entry(path).kind in ("image", "structures", "other", "unreadable")
        read(path, good["image"])
    except AutosegError as error:
        assert str(path.parent) in str(error)
    finally:
        path.write_bytes(content)


def read(path: Path, image: Path) -> None:
    if formats.holds_structures(path):
        formats.read_structures(path, formats.read(image))
    else:
        formats.read(path)
