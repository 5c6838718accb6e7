"""The recipe of the shipped weights, end to end with a scenario of a few lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import tiny
from agents.model import train_tokenizer
from agents.supervised import (
    Example,
    FitConfig,
    FitProgress,
    batches,
    demonstrate,
    demonstrate_answers,
    encode,
    fit,
    loss_of,
)
from agents.token_policy import TokenPolicy
from td_gym.draws import mix
from td_gym.errors import TdGymError
from td_gym.judges.answers import is_right
from td_gym.registration import make_scenario, scenario_names
from td_gym.turns import split_end_mark
from tests.agents.fakes import ITEMS, FakeBatch, FakeScenario, fake_policy

RECIPE = ["--env", "Fake", "--dialogues", "60", "--lr", "1e-2", "--batch-tokens", "400"]
SCRATCH = ["--size", "micro", "--vocabulary", "512"]


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> int:
    monkeypatch.setattr(tiny, "make_scenario", lambda env_id: FakeScenario())
    monkeypatch.setattr(tiny, "open_batch", lambda scenario, seat: FakeBatch(seat=seat))
    scratch = [] if "--planned" in options else SCRATCH
    return tiny.main([*RECIPE, *scratch, "--out", str(out), *options])


def test_recipe_end_to_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, tmp_path, "--tokens", "60k", "--gate-turns", "200") == 0
    assert "left" in capsys.readouterr().out
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert record["gate"]["format_valid"] > 0.99
    assert record["gate"]["turns"] >= 200
    assert record["trained_tokens"] >= 60_000
    policy = TokenPolicy.load(tmp_path, scenario=FakeScenario())
    assert policy.versions["protocol"] == "1"
    assert policy.max_new_tokens % 8 == 0
    assert next(policy.model.parameters()).dtype == torch.float32
    assert (tmp_path / "model.safetensors").stat().st_size < 3 * 2**20
    # What it learnt to write is filled before anyone reads it.
    batch = FakeBatch()
    tiny.gate(policy, batch, turns=1)
    texts = [text for texts in batch.submitted.values() for text in texts]
    assert any(item in text for text in texts for item in ITEMS)
    assert not any("[item]" in text for text in texts)


def test_learning_to_plan_goes_on_from_the_shipped_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = fake_policy(max_new_tokens=24)
    monkeypatch.setattr(tiny.TokenPolicy, "load", lambda *_, **__: start)
    assert run(monkeypatch, tmp_path, "--planned", "--tokens", "100k", "--gate-turns", "200") == 0
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert record["gate"]["followed"] > 0.9
    assert record["gate"]["costs"]["sop_breaches"] == 0.0
    assert json.loads((tmp_path / "td_gym.json").read_text())["planning"] == {"expert": "policy", "masked": True}


def test_a_customer_learns_the_simulated_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path, "--seat", "customer", "--tokens", "60k", "--gate-turns", "200")
    record = json.loads((tmp_path / "recipe.json").read_text())
    assert record["recipe"]["seat"] == "customer"
    assert record["gate"]["format_valid"] > 0.95
    assert record["gate"]["ended"] > 0.95
    assert TokenPolicy.load(tmp_path, scenario=FakeScenario(), seat="customer").seat == "customer"


def test_a_customer_that_ends_nothing_or_writes_tags_fails_the_gate() -> None:
    found = tiny.gate(fake_policy(seat="customer"), FakeBatch(seat="customer"), turns=100)
    assert found.ended == 0.0
    assert found.format_valid < 0.9
    assert not found.passed
    good = replace(found, format_valid=1.0, ended=1.0)
    assert good.passed
    assert not replace(good, ended=0.9).passed
    assert not replace(good, format_valid=0.9).passed


def test_too_little_training_fails_the_gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "--tokens", "2k", "--gate-turns", "50") == 1
    assert json.loads((tmp_path / "recipe.json").read_text())["gate"]["format_valid"] < 0.99


def test_bad_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "--size", "huge") == 2
    assert "Unknown model size 'huge'" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path, "--device", "abacus") == 2
    assert "There is no device 'abacus'" in capsys.readouterr().err
    for words in (["--planned"], ["--tasks", "3"]):
        assert run(monkeypatch, tmp_path, "--seat", "customer", *words) == 2
        assert "neither to plan nor to answer tasks" in capsys.readouterr().err
    for refused, words in (
        (["--planned", "--tasks", "3"], "Answers to tasks follow no plan"),
        (["--planned", "--size", "micro"], "leave --size and --vocabulary out"),
        (["--seed", "-1"], "A seed must be a non-negative whole number, not -1"),
        (["--lr", "-1"], "lr must be a finite number above 0, not -1.0"),
    ):
        assert run(monkeypatch, tmp_path, *refused) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    assert run(monkeypatch, tmp_path) == 2
    assert "holds a run of td-gym train; take another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path, "--tokens", "many")
    with pytest.raises(SystemExit):
        tiny.main(RECIPE)
    assert "--out" in capsys.readouterr().err


def test_the_same_recipe_gives_the_same_weights() -> None:
    recipe = tiny.Recipe(size="micro", vocabulary=512, dialogues=10, tokens=3000)
    first, record = tiny.train(FakeScenario(), recipe, report=False)
    torch.rand(3)  # the global random state is of no consequence
    second, again = tiny.train(FakeScenario(), recipe, report=False)
    assert record == again
    for mine, theirs in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_demonstrations_show_the_customer_filled_slots_and_the_model_open_ones() -> None:
    for demonstration in demonstrate(FakeScenario(), 5, seed=1):
        assert len(demonstration.answers) == len(demonstration.drafts) - 1
        assert all("[item]" in draft for draft in demonstration.drafts)
        assert demonstration.opening[0]["role"] == "system"
    assert list(demonstrate(FakeScenario(), 3, seed=1)) == list(demonstrate(FakeScenario(), 3, seed=1))
    assert list(demonstrate(FakeScenario(), 3, seed=1)) != list(demonstrate(FakeScenario(), 3, seed=2))
    with pytest.raises(TdGymError, match="test split"):
        next(demonstrate(FakeScenario(), 1, seed=1, split="test"))


@pytest.mark.parametrize("name", scenario_names())
def test_a_customer_learns_from_its_own_side_of_the_same_dialogues(name: str) -> None:
    scenario = make_scenario(name)
    sides = (demonstrate(scenario, 10, seed=4, seat=seat) for seat in ("customer", "service"))
    for number, (own, heard) in enumerate(zip(*sides, strict=True)):
        (briefing,) = own.opening
        assert briefing["content"] == scenario.begin(mix(4, "demonstration", number) >> 1).briefing("customer")
        read = [*heard.opening, *(message for answer in heard.answers for message in answer)]
        said = [m["content"] for m in read if m["role"] == "user" and not m["content"].startswith("<tool_result>")]
        marks = [split_end_mark(draft) for draft in own.drafts]
        assert [shown for shown, _ in marks][: len(said)] == said
        assert [mark is not None for _, mark in marks] == [False] * (len(marks) - 1) + [True]


@pytest.mark.parametrize("name", scenario_names())
def test_phrases_of_the_card_are_tokens_and_a_briefing_stays_what_it_was(name: str) -> None:
    demonstrations = list(demonstrate(make_scenario(name), 40, seed=0, seat="customer"))
    phrases = tiny._common_phrases(demonstrations)
    tokenizer = train_tokenizer(tiny._texts(demonstrations), 1024, phrases)
    assert len(tokenizer) == 1024
    bare = train_tokenizer(tiny._texts(demonstrations), 1024)
    for demonstration in demonstrations:
        briefing = demonstration.opening[0]["content"]
        tokens = tokenizer(briefing)["input_ids"]
        assert tokenizer.decode(tokens) == briefing
        assert len(tokens) < 0.7 * len(bare(briefing)["input_ids"])


@pytest.mark.parametrize("name", scenario_names())
def test_answered_tasks_are_about_the_briefing_and_right(name: str) -> None:
    scenario = make_scenario(name)
    questions = set()
    for number, answered in enumerate(demonstrate_answers(scenario, 30, seed=3)):
        episode = scenario.begin(mix(3, "answer", number) >> 1)
        (answer,), (*briefing, question) = answered.drafts, answered.opening
        assert briefing == episode.messages("service")
        asked = [task for task in scenario.scaffold_tasks(episode) if task.asked == question["content"]]
        assert any(is_right(task, answer) for task in asked)
        questions.add(question["content"])
    assert len(questions) > 3


def test_examples_mark_exactly_the_drafts() -> None:
    policy = fake_policy()
    for demonstration in demonstrate(FakeScenario(), 5, seed=1):
        example = encode(policy, demonstration)
        learnt = example.tokens[example.agent_mask].tolist()
        assert learnt == [token for draft in demonstration.drafts for token in policy.encode_reply(draft)]


def test_batches_hold_every_example_once_a_round() -> None:
    examples = [Example(np.full(3 + i % 40, i), np.ones(3 + i % 40, dtype=bool)) for i in range(100)]
    stream = batches(examples, 120, np.random.default_rng(0))
    seen: list[int] = []
    while len(seen) < 100:
        batch = next(stream)
        assert len(batch) * max(len(e.tokens) for e in batch) <= 120
        seen += [int(e.tokens[0]) for e in batch]
    assert sorted(seen) == list(range(100))


def test_loss_ignores_padding_and_what_was_only_read() -> None:
    policy = fake_policy()
    first, second = [encode(policy, d) for d in demonstrate(FakeScenario(), 2, seed=3)]
    with torch.no_grad():
        both = loss_of(policy.model, [first, second], policy.pad_id)
        each = [loss_of(policy.model, [e], policy.pad_id) * e.agent_mask.sum() for e in (first, second)]
    expected = sum(each) / (first.agent_mask.sum() + second.agent_mask.sum())
    torch.testing.assert_close(both.double(), torch.as_tensor(expected).double(), atol=1e-5, rtol=0)


def test_fit_lowers_the_loss_and_reports() -> None:
    policy = fake_policy()
    examples = [encode(policy, d) for d in demonstrate(FakeScenario(), 20, seed=0)]
    seen: list[FitProgress] = []
    result = fit(policy, examples, FitConfig(tokens=20_000, batch_tokens=1000, lr=1e-2), report=seen.append)
    assert result.loss < 0.5 * seen[0].loss
    assert result.tokens >= 20_000
    assert max(p.lr for p in seen) <= 1e-2
    assert seen[-1].lr < 1e-3
    assert not policy.model.training
    with pytest.raises(TdGymError, match="at least one"):
        fit(policy, [], FitConfig())
