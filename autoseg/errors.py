"""The error tree. Catch ``AutosegError`` to catch them all; ``exit_code`` is what the command line returns.

    AutosegError
    ├── UsageError (2, ValueError)          an option, name or path that cannot be right
    ├── DataError (3, ValueError)           the data cannot be used as they are
    │   ├── UnreadableFile                  a file is missing, cut short or of an unknown format
    │   ├── LayoutError                     no cases can be made out in the folder
    │   ├── GeometryError                   image and label do not lie on one grid
    │   ├── LabelError                      label values make no sense
    │   ├── UnusableDataset                 too many cases, or all that show a class, cannot be used
    │   └── ChangedInputs                   data, settings or algorithm differ from those of the run folder
    ├── ResourceError (4, RuntimeError)     memory, disk or time do not suffice
    │   └── DoesNotFit                      one image is larger than the memory; others may not be
    ├── Interrupted (5)                     stopped by a signal; the same command resumes
    ├── RefusedError (6, ValueError)        unsafe input: traversal, bomb, tampered model
    └── BusyError (7, RuntimeError)         another process works in the run folder

Planning's own errors (``planners.errors.PlanningError``) carry an ``exit_code`` too and are in ``EXPECTED_ERRORS``.
"""

from planners.errors import PlanningError


class AutosegError(Exception):
    """Base of all errors that a user can act on."""

    exit_code = 70


class UsageError(AutosegError, ValueError):
    """An option, name or path that cannot be right."""

    exit_code = 2


class DataError(AutosegError, ValueError):
    """The data cannot be used as they are."""

    exit_code = 3


class UnreadableFile(DataError):
    """A file is missing, cut short, or of a format we do not read. ``path`` is the file."""

    def __init__(self, path: object, problem: str, todo: str = "restore the file from its source") -> None:
        super().__init__(f"{path}: {problem}; {todo}")
        self.path = path
        self.problem = problem


class LayoutError(DataError):
    """No cases can be made out in the folder."""


class GeometryError(DataError):
    """Image and label (or two channels) do not lie on one grid."""


class LabelError(DataError):
    """Label values make no sense as classes."""


class UnusableDataset(DataError):
    """Too many cases, or all that show a class, cannot be used. ``entries`` are the audit's, case by case."""

    def __init__(self, message: str, entries: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.entries = entries


class ChangedInputs(DataError):
    """Data, settings or algorithm differ from those the run folder was made with."""


class ResourceError(AutosegError, RuntimeError):
    """Memory, disk or time do not suffice."""

    exit_code = 4


class DoesNotFit(ResourceError):
    """One image is larger than the memory that is free; others may not be."""


class Interrupted(AutosegError):
    """Stopped by a signal after saving; the same command goes on from there."""

    exit_code = 5


class RefusedError(AutosegError, ValueError):
    """Refused for safety: the input points outside its folder, is a bomb, or was tampered with."""

    exit_code = 6


class BusyError(AutosegError, RuntimeError):
    """Another process works on the same thing. ``owner`` says which."""

    exit_code = 7

    def __init__(self, message: str, owner: str = "") -> None:
        super().__init__(message)
        self.owner = owner


EXPECTED_ERRORS: tuple[type[Exception], ...] = (AutosegError, PlanningError)
