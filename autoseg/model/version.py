"""Which format a model is of, told before anything else of it is believed."""

from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ValidationError

from autoseg.errors import RefusedError

FORMAT = 1
"""``schema_version`` of the models that are written and read."""


class _Head(BaseModel):
    """What stands in the records of all formats; other fields may come, go, or mean something else there."""

    schema_version: int = FORMAT
    autoseg_version: str = "unknown"


def require_known(path: Path) -> None:
    """Refuse a ``model.json`` of another format. One that is no record at all is left to whoever reads all of it.

    Raises:
        RefusedError: With both formats, and the version that wrote it.
    """
    try:
        head = _Head.model_validate_json(path.read_bytes())
    except ValidationError:
        return
    if head.schema_version != FORMAT:
        raise RefusedError(
            f"{path}: a model of format {head.schema_version}, written by autoseg {head.autoseg_version}; this autoseg "
            f"{metadata.version('autoseg')} reads format {FORMAT}; use the version that wrote it"
        )
