"""``td-gym evaluate`` with a customer on a server, as a user would: recorded, replayed, broken off, down."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.cli import main
from td_gym.llm import KEY_VARIABLE
from tests.llm.server import Answer, complains, serving

CANARY = "sk-canary-7f3a9"


def evaluate(url: str, out: Path, *more: str, episodes: int = 12, agent: str = "scripted") -> int:
    return main(
        [
            *("evaluate", "--env", "td_gym/FoodDispute-v0", "--agent", agent, "--customer", f"llm:fake@{url}"),
            *("--episodes", str(episodes), "--out", str(out), *more),
        ]
    )


def at_its_own_pace(payload: dict[str, Any], number: int) -> Answer:
    """A customer of two to five turns whose words tell when it was asked, some of them late, some at fault."""
    turns = 2 + sum(map(ord, payload["messages"][0]["content"])) % 4
    fault = ("500", "no words")[number % 2] if number % 7 == 3 else ""
    said = complains(payload, turns)
    return Answer(f"{number}. {said}", fault, latency=0.02 * (number % 5))


@pytest.mark.parametrize(("agent", "episodes"), [("scripted", 12), ("oracle", 6), ("tiny", 3)])
def test_a_replay_is_the_recording_to_the_byte_and_needs_no_client(
    agent: str, episodes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = str(tmp_path / "tape.jsonl")
    with serving(at_its_own_pace) as server:
        assert evaluate(server.url, tmp_path / "first", "--record", tape, agent=agent, episodes=episodes) == 0
        url = server.url
    monkeypatch.setitem(sys.modules, "openai", None)
    assert evaluate(url, tmp_path / "second", "--replay", tape, agent=agent, episodes=episodes) == 0
    first, second = (tmp_path / name / "dialogues.jsonl" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    dialogues = [json.loads(line) for line in first.read_text().splitlines()]
    assert [dialogue["index"] for dialogue in dialogues] == list(range(episodes))
    assert {dialogue["outcome"]["ended_by"] for dialogue in dialogues} <= {"resolved", "format_error"}
    assert len({len(dialogue["turns"]) for dialogue in dialogues}) > 1


def test_dialogues_are_held_side_by_side_and_are_those_held_one_by_one(tmp_path: Path) -> None:
    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer(complains(payload), latency=0.03)

    with serving(behave) as server:
        assert evaluate(server.url, tmp_path / "many", "--concurrency", "6") == 0
        together = server.most_at_once
        assert evaluate(server.url, tmp_path / "one", "--concurrency", "1") == 0
    assert 3 <= together <= 6
    assert (tmp_path / "many" / "dialogues.jsonl").read_bytes() == (tmp_path / "one" / "dialogues.jsonl").read_bytes()


def test_results_say_what_was_asked_and_spent(tmp_path: Path) -> None:
    with serving(lambda payload, number: Answer(complains(payload))) as server:
        assert evaluate(server.url, tmp_path, episodes=2) == 0
        asked = len(server.seen)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["customer"] == f"llm:fake@{server.url}"
    spent = {"attempts": asked, "read": 10 * asked, "requests": asked, "written": 3 * asked}
    assert results["provenance"]["models"] == {"customer": spent}


def test_an_outage_is_one_line_and_no_score_and_what_was_said_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape, out = tmp_path / "tape.jsonl", tmp_path / "out"
    down = [True]

    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer("no such model", "404") if down[0] and number > 10 else Answer(complains(payload))

    with serving(behave) as server:
        assert evaluate(server.url, out, "--record", str(tape)) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert f"fake@{server.url} refuses the request" in error[-1]
        assert not (out / "results.json").exists()
        kept = len(tape.read_text().splitlines())
        assert 0 < kept <= 11
        down[0] = False
        before = len(server.seen)
        assert evaluate(server.url, out, "--record", str(tape)) == 0
        asked = len(server.seen) - before
    assert asked == len(tape.read_text().splitlines()) - kept


def test_the_key_is_in_no_file_and_on_no_screen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, CANARY)
    caplog.set_level("DEBUG")
    with serving(lambda payload, number: Answer(complains(payload))) as server:
        assert evaluate(server.url, tmp_path, "--record", str(tmp_path / "tape.jsonl"), episodes=2) == 0
        assert server.seen[0].headers["authorization"] == f"Bearer {CANARY}"
    with serving(lambda payload, number: Answer(f"wrong key {CANARY}", "400")) as server:
        assert evaluate(server.url, tmp_path / "refused", episodes=2) == 2
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    shown = capsys.readouterr()
    for text in (written, shown.out, shown.err, caplog.text):
        assert CANARY not in text


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--replay", "no/such.jsonl"], "Cannot read the recording"),
        (["--concurrency", "0"], "not a whole number of at least 1"),
        (["--timeout", "0"], "not a number above 0"),
        (["--record", "a", "--replay", "b"], "not allowed with argument"),
        (["--record", "{out}/dialogues.jsonl"], "is a file that results are written to"),
    ],
)
def test_bad_options_are_one_line(
    more: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("http://127.0.0.1:9/v1", tmp_path, *(each.format(out=tmp_path) for each in more)) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert line in error


def test_a_replay_of_something_else_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = str(tmp_path / "tape.jsonl")
    with serving(lambda payload, number: Answer(complains(payload))) as server:
        assert evaluate(server.url, tmp_path / "first", "--record", tape, episodes=2) == 0
        url = server.url
    capsys.readouterr()
    assert evaluate(url, tmp_path / "second", "--replay", tape, "--seed", "50", episodes=2) == 2
    assert "has no answer to a request of the customer" in capsys.readouterr().err


def test_an_outage_leaves_what_a_person_has_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer("", "404") if number > 2 else Answer(complains(payload, turns=2))

    monkeypatch.setattr("sys.stdin", io.StringIO("I am sorry.\n" * 9))
    with serving(behave) as server:
        words = ["play", "--env", "td_gym/FoodDispute-v0", "--customer", f"llm:fake@{server.url}", "--episodes", "2"]
        assert main([*words, "--save", str(tmp_path)]) == 2
    assert "refuses the request" in capsys.readouterr().err
    assert len((tmp_path / "dialogues.jsonl").read_text().splitlines()) == 1
    assert json.loads((tmp_path / "results.json").read_text())["agents"]["human"]["metrics"]["turns"]["mean"] == 2
