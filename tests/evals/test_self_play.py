"""Service agent and customer trained in turn, as a user would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.config import versions_of
from agents.model import build_model, train_tokenizer
from agents.token_policy import TokenPolicy
from evals import cli
from td_gym.registration import make_scenario

ENV = "td_gym/FoodDispute-v0"
WORDS = ["self-play", "--env", ENV, "--model", "service", "--customer-model", "customer", "--out", "play"]
WORDS += ["--rounds", "2", "--steps", "1", "--customers", "2", "--copies", "2"]
ONE_RUN = ["train", "grpo", "--env", ENV, "--steps", "1", "--customers", "2", "--copies", "2"]


@pytest.fixture(autouse=True)
def _two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let untrained models of both seats lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    tokenizer = train_tokenizer(["Hello, my soup was cold. I am sorry about your soup."], 512)
    versions = versions_of(make_scenario(ENV))
    for seed, seat in enumerate(("service", "customer")):
        model = build_model("micro", len(tokenizer), seed=seed)
        TokenPolicy(model, tokenizer, max_new_tokens=6, versions=versions, seat=seat).save(seat)


def earned(run: str) -> float:
    (line,) = Path("play", run, "metrics.jsonl").read_text().splitlines()
    return float(json.loads(line)["charts/episodic_return"])


def test_self_play_as_a_user_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(WORDS) == 0
    shown = capsys.readouterr().out
    assert f"td-gym evaluate --env {ENV} --agent play/service-2" in shown
    table = Path("play/rounds.md").read_text()
    for number, line in enumerate(table.splitlines()[2:], 1):
        service, customer = (f"{earned(f'{seat}-{number}'):.2f}" for seat in ("service", "customer"))
        assert line == f"| {number} | {service} | {service} | {customer} | {customer} |"
        assert f"{number}      {service} " in shown
    before = {path: path.read_bytes() for path in Path("play").glob("*-*/metrics.jsonl")}
    assert len(before) == 4

    assert cli.main(WORDS) == 2
    assert "'play' is not empty; add --resume" in capsys.readouterr().err
    assert cli.main([*WORDS, "--resume"]) == 0
    assert Path("play/rounds.md").read_text() == table
    assert {path: path.read_bytes() for path in before} == before

    evaluate = ["evaluate", "--env", ENV, "--episodes", "2", "--out", "evaluation", "--agent"]
    capsys.readouterr()
    assert cli.main([*evaluate, "play/customer-2"]) == 2
    assert "play the customer and cannot play the service" in capsys.readouterr().err
    assert cli.main([*evaluate, "play/service-2"]) == 0


def test_a_customer_trained_by_hand_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*ONE_RUN, "--seat", "customer", "--model", "customer", "--opponent", "service", "--out", "by-hand"]
    assert cli.main(words) == 0
    assert f"td-gym train METHOD --env {ENV} --opponent by-hand" in capsys.readouterr().out
    assert cli.main([*ONE_RUN, "--model", "service", "--opponent", "by-hand", "--out", "answer"]) == 0
    assert json.loads(Path("answer/config.json").read_text())["settings"]["opponent"] == "by-hand"
