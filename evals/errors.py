"""One place where faults become one line on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from evals.escaping import printable
from td_gym.errors import TdGymError, missing_extra

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def guarded(program: str, work: Callable[[], int]) -> int:
    """Run ``work`` and return its exit code; a user's error is one line on stderr and code 2.

    ``TdGymError``, the errors of ``personas``, file-system errors and missing third-party modules
    are the user's; anything else is a fault of td-gym and keeps its traceback.
    """
    try:
        return work()
    except KeyboardInterrupt:
        return _say(program, "stopped by the keyboard.", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; stay quiet at exit too
        return 1
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("td_gym", "agents", "personas", "evals"):
            raise
        return _say(program, str(missing_extra(error.name)))
    except OSError as error:
        return _say(program, describe_os_error(error))
    except TdGymError as error:
        return _say(program, str(error))
    except ValueError as error:  # personas cannot import td_gym, so its errors for users are ValueErrors of its own
        if type(error).__module__.partition(".")[0] != "personas":
            raise
        return _say(program, str(error))


def describe_os_error(error: OSError) -> str:
    """Say in one sentence which path failed and what to do."""
    where = f" {str(error.filename)!r}" if error.filename is not None else ""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.ENOSPC:
        return f"No space is left on the device for{where or ' the output'}; free some or choose another folder."
    return f"Cannot use the path{where}: {reason}; check that it exists and that you may read and write it."


def _say(program: str, message: str, code: int = EXIT_BAD_INPUT) -> int:
    print(f"{program}: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code
