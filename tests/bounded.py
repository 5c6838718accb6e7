"""A guard against text that is read for ever; how fast things are is measured by commands, not by tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

HANGS = 3.0
"""CPU seconds: several times what the guarded work takes on a slow machine, little beside backtracking."""


@contextmanager
def bounded() -> Iterator[None]:
    """Fail when what is done within takes as long as only a reader does that backtracks, or a search of everything."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < HANGS
