"""Recordings of what models answered, so that a run can be repeated exactly without them.

A recording is a file of JSON lines, one a reply: ``request``, a digest of what was asked, ``role``, ``text``,
``calls``, and the tokens ``read`` and ``written``.  Neither keys nor addresses are in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_object, field_of, text_of
from td_gym.llm.futures import then
from td_gym.llm.messages import Completion, ToolCall

_BEGINNING = b'{"request": "'


class Tape:
    """A recording, made or replayed: a request that was answered once always gets that answer."""

    def __init__(self, path: Path, file: BinaryIO | None) -> None:
        self.path = path
        self._file = file
        self._answers: dict[str, Future[Completion]] = {}
        self._lock = Lock()
        self._writing = Lock()

    @classmethod
    def record(cls, path: Path) -> Tape:
        """Start a recording, or go on with one that was broken off: what it has is not asked for again.

        Raises ``TdGymError`` where ``path`` cannot be written, is no recording, or is being recorded into.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise TdGymError(f"Cannot record into {str(path)!r}: {error.strerror or error}.") from error
        tape = cls(path, file)
        try:
            _claim(file, path)
            file.seek(0)
            whole, ending, rest = file.read().rpartition(b"\n")
            if not (rest.startswith(_BEGINNING) or _BEGINNING.startswith(rest)):
                raise TdGymError(f"{str(path)!r} is no recording; record into another file.")
            tape._read(whole)
            file.truncate(len(whole) + len(ending))  # without a line that was cut off
        except TdGymError:
            file.close()
            raise
        return tape

    @classmethod
    def replay(cls, path: Path) -> Tape:
        """Read a recording; ``TdGymError`` names the line that is none."""
        tape = cls(path, None)
        try:
            tape._read(path.read_bytes())
        except OSError as error:
            raise TdGymError(f"Cannot read the recording {str(path)!r}: {error.strerror or error}.") from error
        return tape

    def _read(self, content: bytes) -> None:
        """Take in the answers of whole lines."""
        for number, line in enumerate(content.splitlines(), start=1):
            where = f"{str(self.path)!r}, line {number}"
            try:
                entry = as_object(json.loads(line), where)
            except (ValueError, RecursionError) as error:
                raise TdGymError(f"{where} is no JSON; it is no recording, or was cut off.") from error
            answer: Future[Completion] = Future()
            answer.set_result(_completion(entry, where))
            self._answers.setdefault(text_of(entry, "request", where), answer)

    @property
    def replays(self) -> bool:
        """Whether no server is ever asked."""
        return self._file is None

    def answer(self, digest: str, role: str, ask: Callable[[], Future[Completion]]) -> tuple[Future[Completion], bool]:
        """Return the answer to a request, and whether ``ask`` had to be called for it.

        An answer is there when it is written down; one that fails is not kept.  Raises ``TdGymError``, naming the
        ``role``, where a replayed recording has none.
        """
        with self._lock:
            if digest in self._answers:
                return self._answers[digest], False
            if self.replays:
                raise TdGymError(
                    f"The recording {str(self.path)!r} has no answer to a request of the {role}; it is of other "
                    "agents, customers, settings or another version. Record anew."
                )
            kept = self._answers[digest] = then(ask(), lambda reply: self._write(digest, role, reply))
        kept.add_done_callback(lambda done: self._forget(digest) if done.exception() else None)
        return kept, True

    def _write(self, digest: str, role: str, reply: Completion) -> Completion:
        """Write an answer down and return it."""
        if self._file is None or self._file.closed:
            raise TdGymError(f"The recording {str(self.path)!r} is closed.")
        calls = [call._asdict() for call in reply.calls]
        line = json.dumps({"request": digest, "role": role, **reply._asdict(), "calls": calls}).encode()
        try:
            with self._writing:
                self._file.write(line + b"\n")
                self._file.flush()
        except OSError as error:
            raise TdGymError(f"Cannot record into {str(self.path)!r}: {error.strerror or error}.") from error
        return reply

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._answers.pop(digest, None)

    def close(self) -> None:
        """End the recording."""
        with self._writing:
            if self._file is not None:
                self._file.close()


def _claim(file: BinaryIO, path: Path) -> None:
    """Keep other processes from recording into ``file``, where the system can."""
    try:
        import fcntl
    except ModuleNotFoundError:  # no such system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise TdGymError(f"Another run is recording into {str(path)!r}; take another file.") from error


def _completion(entry: dict[str, Any], where: str) -> Completion:
    listed = as_list(field_of(entry, "calls", where), f"{where}.calls")
    calls = [ToolCall(*(text_of(call, name, f"{where}.calls") for name in ToolCall._fields)) for call in listed]
    read, written = (field_of(entry, name, where) for name in ("read", "written"))
    if not isinstance(read, int) or not isinstance(written, int):
        raise TdGymError(f"{where}: read and written must be whole numbers; record anew.")
    return Completion(text_of(entry, "text", where), tuple(calls), read, written)
