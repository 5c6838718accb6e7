"""Recordings: what was answered once is answered so again, with no server, whole or broken off."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from td_gym.errors import TdGymError
from td_gym.llm import KEY_VARIABLE, Completion, Models, Request, Settings, Tape, ToolCall
from tests.llm.server import Answer, ChatServer, says, serving


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    """A server that numbers its answers."""
    with serving(lambda payload, number: Answer(f"{number}")) as running:
        yield running


def ask(models: Models, url: str, words: str = "Hello?", role: str = "customer") -> Completion:
    return models.client(f"fake@{url}").submit(Request(role, [{"role": "user", "content": words}], 0)).result(30)


def recorded(server: ChatServer, path: Path, *words: str) -> list[str]:
    """Record answers to ``words``."""
    with Models(tape=Tape.record(path)) as models:
        return [ask(models, server.url, each).text for each in words]


def replayed(server: ChatServer, path: Path, *words: str) -> list[str]:
    """Take answers to ``words`` from a recording."""
    before = len(server.seen)
    with Models(tape=Tape.replay(path)) as models:
        answers = [ask(models, server.url, each).text for each in words]
    assert len(server.seen) == before
    return answers


def test_a_recording_answers_as_the_server_did(server: ChatServer, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tape.jsonl"
    one, two = recorded(server, path, "one", "two")
    assert one != two
    assert replayed(server, path, "two", "one", "two") == [two, one, two]


def test_tool_calls_are_recorded(tmp_path: Path) -> None:
    path, request = tmp_path / "tape.jsonl", Request("service", [], 0, tools=[{"type": "function"}])
    behave = lambda payload, number: Answer("Here.", calls=(("act", "{}"),))  # noqa: E731
    with serving(behave) as server:
        with Models(tape=Tape.record(path)) as models:
            first = models.client(f"fake@{server.url}").submit(request).result(30)
        with Models(tape=Tape.replay(path)) as models:
            again = models.client(f"fake@{server.url}").submit(request).result(30)
            assert models.usage() == {"service": {"read": 10, "requests": 1, "written": 3}}
            assert models.spent == 0
    assert first == again == Completion("Here.", (ToolCall("act", "{}"),), 10, 3)


def test_what_was_answered_is_not_asked_for_again(server: ChatServer, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    first, again, other = recorded(server, path, "one", "one", "two")
    assert first == again != other
    assert recorded(server, path, "one", "three")[0] == first
    assert len(path.read_text().splitlines()) == 3


def test_models_of_one_name_on_two_servers_are_two(server: ChatServer, tmp_path: Path) -> None:
    with serving(says("Other.")) as second, Models(tape=Tape.record(tmp_path / "tape.jsonl")) as models:
        assert ask(models, server.url).text != ask(models, second.url).text == "Other."


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    behave = lambda payload, number: Answer("Hi.", "" if number else "404")  # noqa: E731
    with serving(behave) as server, Models(tape=Tape.record(tmp_path / "tape.jsonl")) as models:
        with pytest.raises(TdGymError, match="404"):
            ask(models, server.url)
        assert ask(models, server.url).text == "Hi."


class FullDisk(io.BytesIO):
    """A file on a device with no space left."""

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_answer_that_cannot_be_written_down_is_an_error(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape.record(tmp_path / "tape.jsonl")
    with Models(tape=tape) as models:
        with monkeypatch.context() as patch:
            patch.setattr(tape, "_file", FullDisk())
            with pytest.raises(TdGymError, match=r"Cannot record into .*No space"):
                ask(models, server.url)
        assert ask(models, server.url).text


def test_two_runs_cannot_record_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    first = Tape.record(path)
    with pytest.raises(TdGymError, match="Another run is recording"):
        Tape.record(path)
    first.close()
    Tape.record(path).close()


@pytest.mark.parametrize("lost", [1, 20, 1000])
def test_a_recording_that_was_cut_off_goes_on(server: ChatServer, tmp_path: Path, lost: int) -> None:
    path = tmp_path / "tape.jsonl"
    recorded(server, path, "one", "two")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[: max(3, len(second) - lost)])
    recorded(server, path, "two")
    lines = path.read_bytes().splitlines(keepends=True)
    assert (len(lines), lines[0]) == (2, first)
    assert len(replayed(server, path, "one", "two")) == 2


@pytest.mark.parametrize("content", [b"a key", b"[1, 2]", b'{"name": 1}', b'{"model": "x"}\nsecret'])
def test_a_file_that_is_no_recording_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_bytes(content)
    with pytest.raises(TdGymError, match=r"is no recording|lacks|'request'"):
        Tape.record(path)
    assert path.read_bytes() == content


def test_other_settings_are_other_requests(server: ChatServer, tmp_path: Path) -> None:
    recorded(server, tmp_path / "tape.jsonl", "one")
    models = Models(Settings(max_tokens=7), Tape.replay(tmp_path / "tape.jsonl"))
    with models, pytest.raises(TdGymError, match="no answer to a request of the customer"):
        ask(models, server.url, "one")


def test_what_was_not_recorded_is_an_error_that_names_the_role(server: ChatServer, tmp_path: Path) -> None:
    recorded(server, tmp_path / "tape.jsonl", "one")
    models = Models(tape=Tape.replay(tmp_path / "tape.jsonl"))
    with models, pytest.raises(TdGymError, match="no answer to a request of the judge"):
        ask(models, server.url, "one", role="judge")


@pytest.mark.parametrize(
    "content",
    [
        b"not json\n",
        b"[]\n",
        b'{"request": "a"}\n',
        b'{"request": "a", "text": 1, "calls": [], "read": 0, "written": 0}\n',
        b'{"request": "a", "text": "", "calls": {}, "read": 0, "written": 0}\n',
        b'{"request": "a", "text": "", "calls": [1], "read": 0, "written": 0}\n',
        b"\xff\xfe\n",
    ],
)
@pytest.mark.parametrize("mode", ["record", "replay"])
def test_what_is_no_recording_is_refused_by_line_and_kept(tmp_path: Path, content: bytes, mode: str) -> None:
    path = tmp_path / "tape.jsonl"
    good = b'{"request": "a", "text": "", "calls": [], "read": 0, "written": 0}\n'
    path.write_bytes(good + content)
    with pytest.raises(TdGymError, match=r"tape.jsonl', line 2"):
        getattr(Tape, mode)(path)
    assert path.read_bytes() == good + content


def test_a_file_that_is_not_there_or_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match="Cannot read the recording"):
        Tape.replay(tmp_path / "none.jsonl")
    with pytest.raises(TdGymError, match="Cannot record into"):
        Tape.record(tmp_path)


def test_neither_key_nor_address_is_recorded(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-canary")
    recorded(server, tmp_path / "tape.jsonl", "one")
    content = (tmp_path / "tape.jsonl").read_text()
    assert "sk-canary" not in content
    assert "127.0.0.1" not in content
    assert json.loads(content).keys() == {"request", "role", "text", "calls", "read", "written"}
