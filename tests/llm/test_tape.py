"""Recordings: what was answered once is answered so again, with no server, whole or broken off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from td_gym.errors import TdGymError
from td_gym.llm import KEY_VARIABLE, Completion, Models, Request, Settings, Tape, ToolCall
from tests.llm.server import Answer, says, serving

NOWHERE = "http://127.0.0.1:9/v1"


def ask(models: Models, url: str, words: str = "Hello?", role: str = "customer") -> Completion:
    return models.client(f"fake@{url}").submit(Request(role, [{"role": "user", "content": words}], 0)).result(30)


def recorded(path: Path, *words: str) -> list[Completion]:
    """Record answers to ``words``."""
    answers = serving(lambda payload, number: Answer(f"{number}", calls=(("act", "{}"),)))
    with answers as server, Models(tape=Tape.record(path)) as models:
        return [ask(models, server.url, each) for each in words]


def test_a_recording_answers_as_the_server_did(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tape.jsonl"
    answers = recorded(path, "one", "two")
    assert answers == [
        Completion("0", (ToolCall("act", "{}"),), 10, 3),
        Completion("1", (ToolCall("act", "{}"),), 10, 3),
    ]
    with Models(tape=Tape.replay(path)) as models:
        assert [ask(models, NOWHERE, each) for each in ("two", "one", "two")] == [answers[1], answers[0], answers[1]]
        assert models.usage() == {"customer": {"read": 30, "requests": 3, "written": 9}}


def test_what_was_answered_is_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    first, again, other = recorded(path, "one", "one", "two")
    assert first == again != other
    assert recorded(path, "one", "three")[0] == first
    assert len(path.read_text().splitlines()) == 3


def test_a_recording_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    recorded(path, "one", "two")
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    recorded(path, "two")
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    assert lines[0] == content.splitlines(keepends=True)[0]
    assert Tape.replay(path)


def test_other_settings_are_other_requests(tmp_path: Path) -> None:
    recorded(tmp_path / "tape.jsonl", "one")
    models = Models(Settings(max_tokens=7), Tape.replay(tmp_path / "tape.jsonl"))
    with models, pytest.raises(TdGymError, match="no answer to a request of the customer"):
        ask(models, NOWHERE, "one")


def test_what_was_not_recorded_is_an_error_that_names_the_role(tmp_path: Path) -> None:
    recorded(tmp_path / "tape.jsonl", "one")
    models = Models(tape=Tape.replay(tmp_path / "tape.jsonl"))
    with models, pytest.raises(TdGymError, match="no answer to a request of the judge"):
        ask(models, NOWHERE, "one", role="judge")


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


def test_neither_key_nor_address_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-canary")
    recorded(tmp_path / "tape.jsonl", "one")
    content = (tmp_path / "tape.jsonl").read_text()
    assert "sk-canary" not in content
    assert "127.0.0.1" not in content
    assert json.loads(content).keys() == {"request", "role", "text", "calls", "read", "written"}


def test_a_replay_asks_no_server(tmp_path: Path) -> None:
    with serving(says("Hi.")) as server:
        with Models(tape=Tape.record(tmp_path / "tape.jsonl")) as models:
            ask(models, server.url)
        with Models(tape=Tape.replay(tmp_path / "tape.jsonl")) as models:
            ask(models, server.url)
        assert len(server.seen) == 1
