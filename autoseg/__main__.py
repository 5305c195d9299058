"""``python -m autoseg`` and the ``autoseg`` command: the outermost fence, where errors become exit codes."""

import os
import sys
import traceback

from autoseg import environment
from autoseg.errors import EXPECTED_ERRORS, Interrupted

WITHOUT_NETWORKS = ("inspect", "status", "--help", "-h")
"""Commands to which memory and threads of torch do not matter: they need not start anew, and answer sooner."""


def main() -> None:
    """Run the command line; exit with the code that ``autoseg.errors`` gives each error."""
    if sys.argv[1:2] and sys.argv[1] not in WITHOUT_NETWORKS:
        environment.settle()
    else:
        environment.inherit()

    from autoseg.cli import app

    try:
        app()
    except Interrupted as stopped:  # asked for, and no error
        _tell(f"autoseg: {stopped}")
        sys.exit(stopped.exit_code)
    except EXPECTED_ERRORS as error:
        _tell(f"autoseg: error: {error}")
        sys.exit(getattr(error, "exit_code", 70))
    except KeyboardInterrupt:
        _tell("autoseg: interrupted; the same command goes on from the last save")
        sys.exit(5)
    except BrokenPipeError:  # the reader of our output went away, e.g. `autoseg status OUT | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError:
        _tell("autoseg: error: out of memory; close other programs or use a machine with more")
        sys.exit(4)
    except OSError as error:
        _tell(f"autoseg: error: {error.filename or 'system'}: {error.strerror or error}")
        sys.exit(4)
    except Exception as error:  # noqa: BLE001 - the fence: anything else is our bug, and says so
        if isinstance(error, RuntimeError) and _exhausted(error):
            _tell(f"autoseg: error: {error}; free memory of the accelerator, or use another with --device")
            sys.exit(4)
        _tell(traceback.format_exc() + "autoseg: this is a bug in autoseg; please report the lines above")
        sys.exit(70)


def _exhausted(error: Exception) -> bool:
    """Whether it is torch's own way of saying that an accelerator's memory ran out."""
    from autoseg.learn import memory

    return memory.exhausted(error)


def _tell(message: str) -> None:
    sys.stderr.write(message + "\n")


if __name__ == "__main__":
    main()
