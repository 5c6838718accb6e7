"""Recordings of what models answered, so that a run can be repeated exactly without them.

A recording is a file of JSON lines, one a reply: ``request``, a digest of what was asked, ``role``, ``text``,
``calls``, and the tokens ``read`` and ``written``.  Neither keys nor addresses are in it.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any, TextIO

from td_gym.errors import TdGymError
from td_gym.json_data import as_list, as_object, field_of
from td_gym.llm.messages import Completion, ToolCall


class Tape:
    """A recording, made or replayed: a request that was answered once always gets that answer."""

    def __init__(self, path: Path, file: TextIO | None) -> None:
        self.path = path
        self._file = file
        self._answers: dict[str, Future[Completion]] = {}
        self._writing = Lock()

    @classmethod
    def record(cls, path: Path) -> Tape:
        """Start a recording, or go on with one that was broken off: what it has is not asked for again.

        Raises ``TdGymError`` where ``path`` cannot be written, or is no recording.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise TdGymError(f"Cannot record into {str(path)!r}: {error.strerror or error}.") from error
        tape = cls(path, file)
        try:
            whole = tape._read(path.read_bytes().rpartition(b"\n")[0])
        except TdGymError:
            file.close()
            raise
        file.truncate(whole)  # of a line that was cut off
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

    def _read(self, content: bytes) -> int:
        """Take in the answers of whole lines; return the bytes they take up, ends of line included."""
        lines = content.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            where = f"{str(self.path)!r}, line {number}"
            try:
                entry = as_object(json.loads(line), where)
            except ValueError as error:
                raise TdGymError(f"{where} is no JSON; it is no recording, or was cut off.") from error
            answer: Future[Completion] = Future()
            answer.set_result(_completion(entry, where))
            self._answers[str(field_of(entry, "request", where))] = answer
        return sum(map(len, lines)) + (1 if lines and not lines[-1].endswith(b"\n") else 0)

    @property
    def replays(self) -> bool:
        """Whether no server is ever asked."""
        return self._file is None

    def known(self, digest: str, role: str) -> Future[Completion] | None:
        """Return the answer that a request was given before, or is given now, ``None`` where it is to be asked for.

        Raises ``TdGymError``, naming the ``role``, where a replayed recording has none.
        """
        answer = self._answers.get(digest)
        if answer is None and self.replays:
            raise TdGymError(
                f"The recording {str(self.path)!r} has no answer to a request of the {role}; it is of other agents, "
                "customers, settings or another version. Record anew."
            )
        return answer

    def keep(self, digest: str, role: str, answer: Future[Completion]) -> Future[Completion]:
        """Record an answer when it is there, and return it."""
        self._answers[digest] = answer
        answer.add_done_callback(lambda done: self._write(digest, role, done))
        return answer

    def _write(self, digest: str, role: str, answer: Future[Completion]) -> None:
        if self._file is None or answer.cancelled() or answer.exception() is not None:
            return
        line = json.dumps({"request": digest, "role": role, **_entry(answer.result())})
        with self._writing:
            self._file.write(f"{line}\n")
            self._file.flush()

    def close(self) -> None:
        """End the recording."""
        if self._file is not None:
            self._file.close()


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
