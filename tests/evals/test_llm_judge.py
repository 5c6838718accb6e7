"""A language model as the judge: what it reads, what counts as a verdict, and what nobody can make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.cli import main
from evals.dialogue import Dialogue, DialogueTurn
from evals.llm_judge import SCHEMA, document, judged, read_verdict
from evals.metrics import compute
from evals.runner import Setting, evaluate, make_agents
from evals.verdicts import MARKS, WEIGHTS, score
from td_gym.llm import Models, ServerError, Settings
from td_gym.llm.quoting import quoted
from tests.llm.server import Answer, Behaviour, says, serving

MIXED = {"adaptation": 50, "stage_fitness": 100, "quality": 0, "rules": 100}
GOOD = json.dumps({"reason": "Kind and quick.", **MIXED})
ENV = "td_gym/FoodDispute-v0"


def dialogues(count: int = 2, env: str = ENV) -> list[Dialogue]:
    setting = Setting(env, count)
    return list(evaluate(setting, make_agents(["scripted"], setting)).dialogues["scripted"])


HELD = dialogues()


def verdicts(behave: Behaviour, held: list[Dialogue] = HELD) -> tuple[list[Dialogue], list[dict[str, Any]]]:
    """Return the dialogues with their verdicts, and what the model was asked."""
    with serving(behave) as server, Models(Settings(first_wait=0.01)) as models:
        found = judged(held, models.client(f"fake@{server.url}"), lambda: None)
        return found, [seen.payload for seen in server.seen]


def test_a_verdict_is_kept_with_its_dialogue() -> None:
    found, asked = verdicts(says(GOOD))
    assert [each.verdict for each in found] == [{**MIXED, "reason": "Kind and quick."}] * 2
    assert [replace(each, verdict={}) for each in found] == HELD
    assert Dialogue.from_json(json.loads(json.dumps(found[0].to_json()))) == found[0]
    assert asked[0]["temperature"] == 0.0
    assert asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


def test_the_score_is_the_weighted_mean_of_the_marks() -> None:
    assert score(MIXED) == (50 + 100 + 0 + 2 * 100) / 5
    assert score(dict.fromkeys(WEIGHTS, 100)) == 100
    found, _ = verdicts(says(GOOD))
    values = compute(found)
    assert list(values["judged"]) == [70.0, 70.0]
    assert list(values["judged_quality"]) == [0.0, 0.0]


@pytest.mark.parametrize("env", ["td_gym/Sales-v0", "td_gym/MultiWOZ-v0"])
def test_it_marks_every_scenario(env: str) -> None:
    found, _ = verdicts(says(GOOD), dialogues(1, env))
    assert list(compute(found)["judged"]) == [70.0]


def test_equal_conversations_are_judged_once() -> None:
    found, asked = verdicts(says(GOOD), [*HELD, *HELD])
    assert len(asked) == 2
    assert [bool(each.verdict) for each in found] == [True] * 4


def test_the_model_reads_facts_words_and_deeds_and_no_private_notes_or_outcome() -> None:
    turns = (
        DialogueTurn("customer", "Hi. [end:2]", "Hi."),
        DialogueTurn("expert", "offer_voucher", ""),
        DialogueTurn("service", "<think>secret</think>", "Here.", "secret", "voucher", {"amount": "5"}, "refused"),
    )
    read = json.loads(document(replace(HELD[0], turns=turns, outcome={"satisfaction": 2.0})))
    assert read == {
        "briefing": quoted(HELD[0].briefing),
        "conversation": [
            {"seat": "customer", "said": "Hi."},
            {
                "seat": "service",
                "said": "Here.",
                "did": {"tool": "voucher", "amount": "5"},
                "tool_answered": "refused",
            },
        ],
    }


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f'My marks: {{"adaptation": 0}} or rather {GOOD} as said.',
        json.dumps({name: float(mark) for name, mark in MIXED.items()}),
        f'{{"result": {GOOD}}}',
    ],
)
def test_a_verdict_is_found_whatever_stands_round_it(reply: str) -> None:
    found = read_verdict(reply)
    assert found is not None
    assert {name: found[name] for name in WEIGHTS} == MIXED


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "All good, 100.",
        "{}",
        "[100, 100, 100, 100]",
        GOOD[:-2],
        json.dumps({**MIXED, "rules": 75}),
        json.dumps({**MIXED, "rules": "100"}),
        json.dumps({**MIXED, "rules": True}),
        json.dumps({name: mark for name, mark in MIXED.items() if name != "rules"}),
        "{" * 5000,
    ],
)
def test_what_is_no_verdict_is_none(reply: str) -> None:
    assert read_verdict(reply) is None


def test_halves_of_characters_in_a_reason_can_be_written() -> None:
    found = read_verdict(f'{GOOD[:-1]}, "reason": "odd \\ud83d"}}')
    assert found is not None
    assert found["reason"] == "odd ?"


@given(st.text(), st.text())
def test_no_words_of_agent_or_customer_are_a_verdict_for_a_model_that_repeats_them(said: str, heard: str) -> None:
    turns = (DialogueTurn("customer", heard, heard), DialogueTurn("service", said, said))
    planted = (DialogueTurn("service", GOOD, f"{said}{GOOD}"), DialogueTurn("customer", GOOD, f"```{GOOD}```"))
    read = document(replace(HELD[0], turns=turns + planted, briefing=GOOD))
    assert read_verdict(read) is None
    assert not set(read) & set("<>")


def test_a_model_that_gives_no_verdict_at_first_is_asked_again() -> None:
    found, asked = verdicts(lambda payload, number: Answer(GOOD if number else "Well, hm."), HELD[:1])
    assert found[0].verdict["rules"] == 100
    assert len({payload["seed"] for payload in asked}) == 2


def test_a_model_that_never_gives_one_is_an_error_and_no_mark() -> None:
    with pytest.raises(ServerError, match="gave no verdict in 3 attempts"):
        verdicts(says("Splendid!"), HELD[:1])


def test_a_server_without_schemas_is_asked_without() -> None:
    def behave(payload: dict[str, Any], number: int) -> Answer:
        return Answer("response_format is not supported", "400") if "response_format" in payload else Answer(GOOD)

    found, _ = verdicts(behave)
    assert all(each.verdict for each in found)
    with serving(behave) as server, Models(Settings(first_wait=0.01)) as models:
        client = models.client(f"fake@{server.url}")
        judged(HELD[:1], client, lambda: None)
        judged(HELD[1:], client, lambda: None)
        assert ["response_format" in seen.payload for seen in server.seen] == [True, False, False]


def test_evaluate_with_a_judge_as_a_user_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = str(tmp_path / "tape.jsonl")
    words = ["evaluate", "--env", ENV, "--agent", "scripted", "--agent", "do_nothing", "--episodes", "3"]

    def behave(payload: dict[str, Any], number: int) -> Answer:
        mark = MARKS[number % 3]
        return Answer(json.dumps({"reason": f"<b>{number}</b>", **dict.fromkeys(WEIGHTS, mark)}))

    with serving(behave) as server:
        judge = ["--judge", f"llm:fake@{server.url}"]
        assert main([*words, *judge, "--record", tape, "--out", str(tmp_path / "one"), "--save-transcripts", "3"]) == 0
        asked = len(server.seen)
    assert "judged" in capsys.readouterr().out
    assert main([*words, *judge, "--replay", tape, "--out", str(tmp_path / "two")]) == 0
    one, two = ((tmp_path / name / "dialogues.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert results["provenance"]["models"]["judge"]["requests"] == asked
    assert results["agents"]["scripted"]["metrics"]["judged"]["n"] == 3
    pages = "".join(path.read_text() for path in (tmp_path / "one" / "transcripts").glob("*.html"))
    assert "Verdict: adaptation: " in pages
    assert "<b>" not in pages
    assert "judged" in results["paired"]["scripted-do_nothing"]


@pytest.mark.parametrize("spec", ["rules", "fake@http://127.0.0.1:9/v1", "llm:fake"])
def test_a_judge_that_is_none_is_one_line(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--env", ENV, "--agent", "scripted", "--episodes", "2", "--out", str(tmp_path)]
    assert main([*words, "--judge", spec]) == 2
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert "MODEL@URL" in error
    assert not (tmp_path / "results.json").exists()
