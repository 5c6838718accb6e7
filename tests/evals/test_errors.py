from __future__ import annotations

import subprocess
import sys

import pytest

from evals.errors import EXIT_BAD_INPUT, guarded
from td_gym.errors import TdGymError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TdGymError("Agent 'a' failed:\n  two\r\nlines\u2028here."), "Agent 'a' failed: two lines here."),
        (TdGymError("\x1b[2Jgone \x1b]0;title\x07 \x9b31m \u202e"), r"\x1b[2Jgone \x1b]0;title\x07 \x9b31m \u202e"),
        (TdGymError("Café, 中文 and a \\n."), "Café, 中文 and a \\n."),
        (OSError(2, "No such\x1b[31m file"), r"Cannot use the path: No such\x1b[31m file; check that"),
    ],
)
def test_an_error_is_one_line_that_cannot_steer_the_terminal(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> int:
        raise error

    assert guarded("td-gym", fails) == EXIT_BAD_INPUT
    printed = capsys.readouterr().err
    assert printed.startswith(f"td-gym: error: {said}")
    assert printed.endswith("\n")
    assert printed[:-1].isprintable()


def test_errors_are_told_without_the_packages_that_may_be_broken() -> None:
    code = "import sys, evals.errors; print({name.partition('.')[0] for name in sys.modules} & {'agents'})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"
