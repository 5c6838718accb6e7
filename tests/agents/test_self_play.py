"""A customer learns as a service agent does, from what is its own; the two in turn, each against the other's latest."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import self_play as module
from agents import trainer
from agents.methods import customer_methods, method_names, presets
from agents.rollout import rollout
from agents.self_play import self_play
from agents.sources import partners, policy_source
from agents.token_agent import TokenAgent
from agents.token_policy import TokenPolicy
from agents.trainer import TrainConfig, train
from agents.trajectories import Trajectories
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from tests.agents.fakes import FakeBatch, FakeScenario, fake_policy

SEEDS = [3, 3, 4, 5, 6, 7]
SEATS = ("service", "customer")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return untrained weights of either seat."""
    folder = tmp_path_factory.mktemp("weights")
    for number, seat in enumerate(SEATS):
        fake_policy(seed=number, max_new_tokens=6, seat=seat).save(folder / seat)
    return {seat: folder / seat for seat in SEATS}


@pytest.fixture(autouse=True, scope="module")
def _in_the_kitchen() -> Iterator[None]:
    """Let every run be one of the fake scenario."""
    with pytest.MonkeyPatch.context() as patch:
        for each in (trainer, module):
            patch.setattr(each, "scenario_of", lambda config: FakeScenario())
        yield


def config(weights: dict[str, Path], seat: str, out: Path, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {"method": "grpo", "env": "fake", "steps": 1, "customers": 2, "copies": 2, "seat": seat}
    return TrainConfig(**{**settings, "out": out / seat, "model": str(weights[seat]), **changes})


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def held_by_a_customer() -> tuple[Trajectories, FakeBatch]:
    batch = FakeBatch(seat="customer")
    generator = torch.Generator().manual_seed(5)
    return rollout(fake_policy(seat="customer"), batch, SEEDS, SEEDS, generator=generator), batch


def test_a_customer_speaks_first_and_earns_what_is_its_own() -> None:
    record, batch = held_by_a_customer()
    for i, episode in batch.episodes.items():
        said = [turn.text for turn in episode.transcript if turn.seat == "customer"]
        assert batch.submitted[i] == said
        assert record.turns[i] == len(said)
        assert record.session_rewards[i] == pytest.approx(-0.1 * episode.service_turns)
        opening = fake_policy().render_opening([{"role": "system", "content": episode.briefing("customer")}])
        assert record.tokens[i, : len(opening)].tolist() == opening
    assert record.writers() == {"customer"}
    assert record.turn_rewards.shape[2] == len(record.term_names) == 0
    assert record.conduct is None


def test_a_customer_has_no_slots() -> None:
    policy = fake_policy(seat="customer")
    assert policy.fill("the [item]", [{"role": "system", "content": "CASE\nsoup; waits 1"}]) == "the [item]"


class Listening(TokenAgent):
    """Notes what it was asked for."""

    read: list[Any]

    def act_batch(self, observations: Any, messages: Any) -> list[str]:
        self.read = list(messages)
        return super().act_batch(observations, messages)


def answered(agent: TokenAgent, episodes: list[Episode]) -> list[str]:
    agent.reset(7)
    return agent.reply_batch(episodes)


@pytest.mark.parametrize("seat", SEATS)
def test_a_policy_in_a_seat_says_the_same_in_any_company(seat: str) -> None:
    scenario, agent = FakeScenario(), Listening(fake_policy(seat=seat))
    episodes = [scenario.begin(seed) for seed in range(6)]
    for episode in episodes if seat == "service" else []:
        episode.submit("customer", "my soup was cold")
    together = answered(agent, episodes)
    assert agent.read == [episode.messages(seat) for episode in episodes]
    assert [text for episode in reversed(episodes) for text in answered(agent, [episode])] == together[::-1]
    assert len(set(together)) > 1


def test_who_plays_the_other_seat(weights: dict[str, Path], tmp_path: Path) -> None:
    scenario = FakeScenario()
    for seat, other in (("service", "customer"), ("customer", "service")):
        (simulated,) = partners(config(weights, seat, tmp_path), scenario).items()
        assert simulated[0] == other
        settings = config(weights, seat, tmp_path, opponent=str(weights[other]))
        opponent = trainer.opposing_policy(settings, scenario, "cpu")
        (agent,) = partners(settings, scenario, opponent).items()
        assert (agent[0], type(agent[1])) == (other, TokenAgent)


def test_the_seat_is_saved_with_the_weights_and_another_is_refused(weights: dict[str, Path]) -> None:
    for seat, other in (("service", "customer"), ("customer", "service")):
        assert TokenPolicy.load(weights[seat], seat=seat).seat == seat
        with pytest.raises(TdGymError, match=f"play the {seat} and cannot play the {other}"):
            TokenPolicy.load(weights[seat], seat=other)


def test_weights_that_name_no_seat_are_of_the_service_seat_and_foreign_ones_of_any(tmp_path: Path) -> None:
    fake_policy().save(tmp_path)
    file = tmp_path / "td_gym.json"
    file.write_text(json.dumps({"protocol": "1"}))
    with pytest.raises(TdGymError, match="cannot play the customer"):
        TokenPolicy.load(tmp_path, seat="customer")
    file.unlink()
    assert [TokenPolicy.load(tmp_path, seat=seat).seat for seat in SEATS] == list(SEATS)


@pytest.mark.parametrize("method", customer_methods())
def test_a_customer_learns_from_its_session_reward(weights: dict[str, Path], tmp_path: Path, method: str) -> None:
    settings = config(
        weights, "customer", tmp_path, method=method, opponent=str(weights["service"]), steps=2, copies=4, average=0
    )
    train(settings)
    found = lines(settings.out)
    assert all(np.isfinite(list(line.values())).all() for line in found)
    assert any(line["losses/grad_norm"] > 0 for line in found)
    assert not [name for name in found[0] if name.startswith("turn_terms")]
    recorded = json.loads((settings.out / "config.json").read_text())
    assert recorded["settings"]["opponent"] == "service"
    assert recorded["opponent"]["digest"] != recorded["start"]["digest"]
    assert TokenPolicy.load(settings.out, seat="customer").seat == "customer"


SERVICE_ONLY = [
    (name, preset, {}) for name in method_names() if name not in customer_methods() for preset in presets(name)
]
SERVICE_ONLY += [("grpo", preset, {}) for preset in presets("grpo")[1:]]
SERVICE_ONLY += [("ppo", "", {"options": {"turn_weight": 0.1}}), ("dpo", "", {"budgets": {"voucher": 0.1}})]


@pytest.mark.parametrize(("method", "preset", "changes"), SERVICE_ONLY)
def test_what_only_the_service_seat_has_is_nothing_for_a_customer_to_learn_from(
    weights: dict[str, Path], tmp_path: Path, method: str, preset: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(TdGymError, match=r"earns the session reward alone, .* ppo, grpo, dpo"):
        train(config(weights, "customer", tmp_path, method=method, preset=preset, minibatches=2, **changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seat": "courier"}, "Unknown seat 'courier'"),
        ({"seat": "customer", "customer": "scripted"}, "'scripted' would not speak"),
        ({"seat": "service", "customer": "scripted", "opponent": "x"}, "'scripted' would not speak"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TdGymError, match=message):
        TrainConfig("grpo", "fake", tmp_path, **changes)


def test_an_opponent_of_the_wrong_seat_is_refused_before_anything_is_written(
    weights: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(TdGymError, match="play the service and cannot play the customer"):
        train(config(weights, "service", tmp_path, opponent=str(weights["service"])))
    assert not list(tmp_path.iterdir())


def test_a_run_meets_the_opponent_that_it_began_with(weights: dict[str, Path], tmp_path: Path) -> None:
    opponent = tmp_path / "opponent"
    shutil.copytree(weights["customer"], opponent)
    settings = config(weights, "service", tmp_path, opponent=str(opponent))
    train(settings)
    fake_policy(seed=9, seat="customer").save(opponent)
    with pytest.raises(TdGymError, match="was started with digest"):
        train(dataclasses.replace(settings, steps=2, resume=True))


def test_sharing_out_and_the_others_in_a_batch_change_no_dialogue(weights: dict[str, Path], tmp_path: Path) -> None:
    """An opponent's words are keyed by the conversation alone."""
    scenario, policy = FakeScenario(), TokenPolicy.load(weights["service"], scenario=FakeScenario())
    opponent = TokenPolicy.load(weights["customer"], seat="customer")

    def held(customers: int) -> Trajectories:
        settings = config(weights, "service", tmp_path, customers=customers)
        batch = policy_source(settings, scenario, partners(settings, scenario, opponent))(policy, 3)
        return batch.rows

    few, many = held(2), held(6)
    for i in range(len(few)):
        assert few.tokens[i, : few.lengths[i]].tolist() == many.tokens[i, : many.lengths[i]].tolist()


def rounds(weights: dict[str, Path], out: Path, number: int = 2, **changes: Any) -> list[dict[str, list[float]]]:
    service, customer = (config(weights, seat, out, **changes) for seat in SEATS)
    return self_play(service, customer, number)


@pytest.fixture(scope="module")
def played(weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two rounds of self-play."""
    out = tmp_path_factory.mktemp("played")
    rounds(weights, out)
    return out


RUNS = ("service-1", "customer-1", "service-2", "customer-2")


def test_each_meets_the_latest_of_the_other(played: Path, weights: dict[str, Path]) -> None:
    assert {path.name for path in played.iterdir()} == set(RUNS)
    met = {run: json.loads((played / run / "config.json").read_text()) for run in RUNS}
    names = {run: (found["settings"]["model"], found["settings"]["opponent"]) for run, found in met.items()}
    assert names == {
        "service-1": ("service", "customer"),
        "customer-1": ("customer", "service-1"),
        "service-2": ("service-1", "customer-1"),
        "customer-2": ("customer-1", "service-2"),
    }
    assert met["customer-1"]["opponent"]["digest"] == met["service-2"]["start"]["digest"]
    assert met["service-1"]["start"]["digest"] != met["service-2"]["start"]["digest"]
    assert len({found["settings"]["seed"] for found in met.values()}) == 4


def test_the_same_command_gives_the_same_numbers(played: Path, weights: dict[str, Path], tmp_path: Path) -> None:
    earned = rounds(weights, tmp_path)
    for run in RUNS:
        assert (tmp_path / run / "metrics.jsonl").read_text() == (played / run / "metrics.jsonl").read_text()
    expected = [{seat: [lines(played / f"{seat}-{k}")[0]["charts/episodic_return"]] for seat in SEATS} for k in (1, 2)]
    assert earned == expected


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_killed_command_resumes_and_repeats_no_finished_run(
    played: Path, weights: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def dies(settings: TrainConfig) -> None:
        begun.append(settings.out.name)
        if len(begun) == 3:
            raise Killed
        train(settings)

    monkeypatch.setattr(module, "train", dies)
    with pytest.raises(Killed):
        rounds(weights, tmp_path)
    monkeypatch.setattr(module, "train", train)
    finished = (tmp_path / "service-1" / "model" / "model.safetensors").stat().st_mtime_ns
    rounds(weights, tmp_path)
    assert (tmp_path / "service-1" / "model" / "model.safetensors").stat().st_mtime_ns == finished
    for run in RUNS:
        assert (tmp_path / run / "metrics.jsonl").read_text() == (played / run / "metrics.jsonl").read_text()


def test_more_rounds_follow_and_other_steps_are_refused(played: Path, weights: dict[str, Path], tmp_path: Path) -> None:
    first = tmp_path / "play"
    shutil.copytree(played, first)
    for run in ("service-2", "customer-2"):
        shutil.rmtree(first / run)
    with pytest.raises(TdGymError, match="begun with 1 steps, not 2"):
        rounds(weights, first, steps=2)
    assert len(lines(first / "service-1")) == 1
    rounds(weights, first)
    for run in RUNS:
        assert lines(first / run) == lines(played / run)


def test_methods_that_cannot_are_refused_before_anything_is_learnt(weights: dict[str, Path], tmp_path: Path) -> None:
    for methods, message in (
        ({"customer": "cmpo"}, "earns the session reward alone"),
        ({"service": "sft"}, "sft learns from scripted dialogues and meets no opponent"),
    ):
        learners = [config(weights, seat, tmp_path, method=methods.get(seat, "grpo")) for seat in SEATS]
        with pytest.raises(TdGymError, match=message):
            self_play(*learners, rounds=2)
    assert not list(tmp_path.iterdir())
