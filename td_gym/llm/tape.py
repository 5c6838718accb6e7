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
from td_gym.json_data import as_list, as_object, field_of
from td_gym.llm.messages import Completion, ToolCall

_BEGINNING = b'{"request": "'


class Tape:
    """A recording, made or replayed: a request that was answered once always gets that answer."""

    def __init__(self, path: Path, file: BinaryIO | None) -> None:
        self.path = path
        self._file = file
        self._answers: dict[str, Future[Completion]] = {}
        self._lock = Lock()

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
            self._answers.setdefault(str(field_of(entry, "request", where)), answer)

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
            given = ask()
            kept = self._answers[digest] = Future()
        given.add_done_callback(lambda done: self._keep(digest, role, done, kept))
        return kept, True

    def _keep(self, digest: str, role: str, given: Future[Completion], kept: Future[Completion]) -> None:
        """Write an answer down, then let it be known."""
        error: BaseException | None = None
        try:
            reply = given.result()
            with self._lock:
                self._write({"request": digest, "role": role, **_entry(reply)})
        except OSError as fault:
            error = TdGymError(f"Cannot record into {str(self.path)!r}: {fault.strerror or fault}.")
        except BaseException as fault:  # whatever it is, who waits for the answer is told
            error = fault
        if error is None:
            kept.set_result(reply)
            return
        with self._lock:
            self._answers.pop(digest, None)
        kept.set_exception(error)

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is None or self._file.closed:
            raise TdGymError(f"The recording {str(self.path)!r} is closed.")
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """End the recording."""
        with self._lock:
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


def _entry(reply: Completion) -> dict[str, Any]:
    calls = [{"name": call.name, "arguments": call.arguments} for call in reply.calls]
    return {"text": reply.text, "calls": calls, "read": reply.read, "written": reply.written}


def _completion(entry: dict[str, Any], where: str) -> Completion:
    calls = []
    for call in as_list(field_of(entry, "calls", where), f"{where}, field 'calls'"):
        fields = as_object(call, f"{where}, field 'calls'")
        calls.append(ToolCall(*(str(field_of(fields, name, where)) for name in ("name", "arguments"))))
    text, read, written = (field_of(entry, name, where) for name in ("text", "read", "written"))
    if not isinstance(text, str) or not isinstance(read, int) or not isinstance(written, int):
        raise TdGymError(f"{where}: text, read or written is of another kind; record anew.")
    return Completion(text, tuple(calls), read, written)
