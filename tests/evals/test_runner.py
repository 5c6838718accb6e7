from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals import transcripts
from evals.conduct import consistency
from evals.metrics import compute, goal_reward, metrics_of
from evals.runner import Setting, agent_names, evaluate, make_agents
from evals.scores import entries, paired, results
from td_gym.episode import Episode
from td_gym.errors import TdGymError
from td_gym.registration import env_ids, make_scenario

ENV = "td_gym/FoodDispute-v0"


class Recording:
    """Says the same thing always and keeps all it was given."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.resets: list[int | None] = []

    def reset(self, seed: int | None = None) -> None:
        self.resets.append(seed)

    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        self.heard.append((observation, messages))
        return "Hello, I am sorry about that. What was wrong with the order?"


class Batched(Recording):
    def act_batch(self, observations: Sequence[Any], messages: Sequence[Any]) -> list[str]:
        return [self.act(*each) for each in zip(observations, messages, strict=True)]


class Counting(Recording):
    """Holds state over one conversation: fails when conversations are mixed."""

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        self.turns = 0

    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        assert sum(message["role"] == "assistant" for message in messages) == self.turns
        self.turns += 1
        return super().act(observation, messages)


def test_all_agents_meet_the_same_customers() -> None:
    setting = Setting(ENV, episodes=6, seed=40)
    evaluation = evaluate(setting, make_agents(["scripted", "do_nothing"], setting))
    one, other = evaluation.dialogues["scripted"], evaluation.dialogues["do_nothing"]
    assert [each.seed for each in one] == list(range(40, 46))
    assert [each.persona for each in one] == [each.persona for each in other]
    assert [each.turns[0] for each in one] == [each.turns[0] for each in other]
    assert [each.briefing for each in one] == [each.briefing for each in other]
    assert all(each.split == "test" for each in one)


def test_the_same_evaluation_twice_gives_the_same_dialogues() -> None:
    setting = Setting(ENV, episodes=5)
    first, second = (evaluate(setting, make_agents(["random"], setting)) for _ in range(2))
    assert first.as_jsonl() == second.as_jsonl()


def test_batched_and_single_answers_are_the_same_dialogues() -> None:
    setting = Setting(ENV, episodes=5)
    one = evaluate(setting, {"a": Recording()}).dialogues["a"]
    other = evaluate(setting, {"a": Batched()}).dialogues["a"]
    assert one == other


def test_agents_without_batches_may_keep_state() -> None:
    agent = Counting()
    evaluate(Setting(ENV, episodes=4), {"mine": agent})
    assert len(set(agent.resets)) == 4


def test_agent_seed_is_handed_to_the_agent_and_changes_no_customer() -> None:
    agents = [Batched(), Batched()]
    setting = Setting(ENV, episodes=2)
    first, second = (evaluate(setting, {"a": agent}, agent_seed=seed) for seed, agent in enumerate(agents, 7))
    assert [agent.resets for agent in agents] == [[7], [8]]
    assert first.as_jsonl() == second.as_jsonl()


def test_agents_get_nothing_but_observation_and_messages() -> None:
    agent = Recording()
    evaluation = evaluate(Setting(ENV, episodes=5), {"mine": agent})
    for observation, messages in agent.heard:
        assert set(observation) == {"observation", "text"}
        assert {key for message in messages for key in message} == {"role", "content"}
    demands = {dialogue.persona["demand"] for dialogue in evaluation.dialogues["mine"]}
    seen = str(agent.heard)
    assert demands
    assert not any(demand in seen for demand in demands)


@pytest.mark.parametrize("env", env_ids())
def test_metrics_are_split_by_traits_of_every_recorded_customer(env: str) -> None:
    held = evaluate(Setting(env, episodes=6), {"mine": Batched()}).dialogues["mine"]
    values = compute(held)
    for spec in metrics_of(env):
        if spec.by:
            groups = [values[name] for name in values if name.startswith(f"{spec.name}/")]
            assert (np.sum(~np.isnan(groups), axis=0) == 1).all()
    assert all("identity" not in dialogue.persona and "facts" not in dialogue.persona for dialogue in held)


def test_agents_are_made_for_the_device_and_results_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("evals.runner.make", lambda spec, device, **options: asked.append(device) or Recording())
    for device in ("cpu", "cuda", "cuda:1"):
        setting = Setting(ENV, episodes=1, device=device)
        evaluation = evaluate(setting, make_agents(["tiny"], setting))
        assert evaluation.results([])["provenance"]["device"] == device
    assert asked == ["cpu", "cuda", "cuda:1"]
    with pytest.raises(TdGymError, match="no device 'cuda:2' on this machine; it has cpu, cuda, cuda:0, cuda:1"):
        make_agents(["tiny"], Setting(ENV, episodes=1, device="cuda:2"))


def test_the_oracle_gets_the_episode() -> None:
    setting = Setting(ENV, episodes=3)
    assert len(evaluate(setting, make_agents(["oracle"], setting)).dialogues["oracle"]) == 3


class Crashing(Recording):
    def act(self, observation: Any, messages: Any) -> str:
        raise ValueError("first line\nsecond line")


class Leaving(Recording):
    def act(self, observation: Any, messages: Any) -> str:
        raise SystemExit(3)


class Mute(Recording):
    def act(self, observation: Any, messages: Any) -> Any:
        return None


class Short(Batched):
    def act_batch(self, observations: Any, messages: Any) -> list[str]:
        return []


class Breaking(Recording):
    """Sends a malformed message where it is asked again."""

    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        return "<action>" if messages[-2]["role"] == "assistant" else super().act(observation, messages)


@pytest.mark.parametrize("env", env_ids())
def test_a_record_keeps_how_the_scenario_read_each_turn(env: str) -> None:
    """Said again to the scenario, a dialogue is read, admitted, graded and paid as its record has it."""
    setting, scenario = Setting(env, episodes=6), make_scenario(env)
    agents = make_agents(["scripted", "random"], setting) | {"breaking": Breaking()}
    for dialogue in chain.from_iterable(evaluate(setting, agents).dialogues.values()):
        episode, read, paid = scenario.begin(dialogue.seed, dialogue.split), list[list[Any]](), 0.0
        for turn in dialogue.turns:
            admissible = scenario.admissible(episode)
            result = episode.submit(turn.seat, turn.text)
            paid += result.rewards.get("service", 0.0)
            if turn.seat == "service":
                read.append([result.strategy, result.strategy in admissible if result.strategy else None, None])
            elif read:
                read[-1][2] = result.relevance
        assert [[turn.strategy, turn.admissible, turn.relevance] for turn in dialogue.service_turns] == read
        assert (dialogue.max_turns, dialogue.outcome) == (scenario.max_turns, episode.outcome)
        assert dialogue.succeeded == scenario.succeeded(dialogue.outcome)
        low, high = scenario.reward_ranges["service"]
        assert goal_reward(dialogue) == pytest.approx((paid - low) / (high - low))


class Planning(Recording):
    """Plans for every second message."""

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        self.planned: Any = []

    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        self.planned = ["clarify" if sum(each["role"] == "assistant" for each in messages) % 2 else ""]
        return super().act(observation, messages)


class PlanningTogether(Planning):
    def act_batch(self, observations: Sequence[Any], messages: Sequence[Any]) -> list[str]:
        replies, plans = [], []
        for each in zip(observations, messages, strict=True):
            replies.append(self.act(*each))
            plans += self.planned
        self.planned = plans
        return replies


class PlanningInside(Planning):
    needs_episode = True

    def act_episode(self, episode: Episode) -> str:
        return self.act(None, episode.messages("service"))


@pytest.mark.parametrize(
    "agent", [Planning(), PlanningTogether(), PlanningInside()], ids=lambda each: type(each).__name__
)
def test_what_an_agent_plans_stands_before_what_it_says(agent: Any) -> None:
    for dialogue in evaluate(Setting(ENV, episodes=5), {"mine": agent}).dialogues["mine"]:
        said = 0
        for before, turn in pairwise(dialogue.turns):
            if turn.seat == "service":
                expected = ("expert", "clarify") if said % 2 else ("customer", before.text)
                assert (before.seat, before.text) == expected
                said += 1
        assert said > 1
        assert consistency(dialogue) == 1.0


class PlanningTooMuch(Planning):
    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        self.planned = ["clarify", "clarify"]
        return "Hello."


class PlanningNumbers(Planning):
    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        self.planned = [3]
        return "Hello."


class PlanningNonsense(Planning):
    def act(self, observation: Any, messages: Sequence[Mapping[str, str]]) -> str:
        self.planned = ["clarfiy"]
        return "Hello."


def test_a_plan_names_strategies_of_the_scenario() -> None:
    with pytest.raises(TdGymError, match=r"Agent 'bad' planned: Unknown strategy 'clarfiy'.*Did you mean 'clarify'"):
        evaluate(Setting(ENV, episodes=2), {"bad": PlanningNonsense()})


class OneText(Planning):
    def act_batch(self, observations: Any, messages: Sequence[Any]) -> str:
        return "x" * len(messages)


def test_one_text_is_no_list_of_replies() -> None:
    with pytest.raises(TdGymError, match="Agent 'bad' failed in dialogue 0: TypeError: one text, not a list"):
        evaluate(Setting(ENV, episodes=2), {"bad": OneText()})


@pytest.mark.parametrize("agent", [PlanningTooMuch(), PlanningNumbers()], ids=lambda each: type(each).__name__)
def test_a_plan_that_is_no_plan_is_refused(agent: Any) -> None:
    with pytest.raises(TdGymError, match=r"'bad' planned \[.*\] for 1 messages; it must name a strategy for each"):
        evaluate(Setting(ENV, episodes=2), {"bad": agent})


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (Crashing(), "'bad' failed in dialogue 3: ValueError: first line second line"),
        (Leaving(), "'bad' failed in dialogue 3: SystemExit: 3"),
        (Mute(), "'bad' returned a NoneType, not text, in dialogue 3"),
        (Short(), "'bad' gave 0 replies for 2 conversations"),
    ],
)
def test_a_crash_names_agent_and_dialogue(agent: Any, said: str) -> None:
    with pytest.raises(TdGymError, match=said):
        evaluate(Setting(ENV, episodes=2, seed=3), {"bad": agent})


def test_results_have_the_layout_that_scripts_read() -> None:
    setting = Setting(ENV, episodes=30, customer="scripted_b")
    results = evaluate(setting, make_agents(["scripted", "always_voucher"], setting)).results(["td-gym", "evaluate"])
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert (results["env"], results["split"], results["customer"]) == (ENV, "test", "scripted_b")
    for agent in results["agents"].values():
        metric = agent["metrics"]["satisfaction"]
        assert metric["ci95"][0] <= metric["mean"] <= metric["ci95"][1]
        assert metric["n"] == 30
    assert results["agents"]["always_voucher"]["metrics"]["voucher_rate"]["mean"] > 0.9
    difference = results["paired"]["always_voucher-scripted"]["voucher_rate"]["mean"]
    means = [results["agents"][name]["metrics"]["voucher_rate"]["mean"] for name in ("always_voucher", "scripted")]
    assert difference == pytest.approx(means[0] - means[1])
    assert results["provenance"]["scenario_version"]


def test_metrics_leave_out_dialogues_they_do_not_apply_to() -> None:
    found = entries({"m": np.array([1.0, np.nan, 3.0]), "none": np.array([np.nan] * 3)}, np.arange(3))
    assert set(found) == {"m"}
    assert (found["m"]["mean"], found["m"]["n"]) == (2.0, 2)


def test_paired_differences_are_per_dialogue_and_both_ways() -> None:
    values = {"a": {"m": np.array([1.0, 2.0, 3.0])}, "b": {"m": np.array([0.5, 1.5, 2.5])}}
    found = paired(values, dict.fromkeys(values, np.arange(3)))
    assert found["a-b"]["m"] == {"mean": 0.5, "ci95": [0.5, 0.5], "n": 3}
    assert found["b-a"]["m"] == {"mean": -0.5, "ci95": [-0.5, -0.5], "n": 3}


def test_a_difference_the_other_way_has_its_bounds_in_order() -> None:
    values = {"a": {"m": np.array([1.0, 2.0, 6.0, 0.0])}, "b": {"m": np.zeros(4)}}
    found = paired(values, dict.fromkeys(values, np.arange(4)))
    low, high = found["a-b"]["m"]["ci95"]
    assert low < high
    assert found["b-a"]["m"] == {"mean": -2.25, "ci95": [-high, -low], "n": 4}


def test_differences_rest_on_cases_and_not_on_how_often_they_were_held() -> None:
    once = {"a": {"m": np.array([1.0, 2.0, 6.0, 0.0])}, "b": {"m": np.zeros(4)}}
    often = {name: {"m": np.tile(each["m"], 5)} for name, each in once.items()}
    one = paired(once, dict.fromkeys(once, np.arange(4)))
    other = paired(often, dict.fromkeys(once, np.tile(np.arange(4), 5)))
    assert other["a-b"]["m"]["ci95"] == pytest.approx(one["a-b"]["m"]["ci95"])


def test_customers_that_were_met_again_make_no_result_surer() -> None:
    setting = Setting(ENV, episodes=8)
    held = evaluate(setting, make_agents(["scripted"], setting)).dialogues["scripted"]
    once, often = (results(setting, {"a": [*held] * times}, [])["agents"]["a"]["metrics"] for times in (1, 5))
    assert often["turns"]["ci95"] == pytest.approx(once["turns"]["ci95"])
    assert (once["turns"]["n"], often["turns"]["n"]) == (8, 40)


def test_names_are_specs_directories_their_own_name_and_doubles_numbered(tmp_path: Path) -> None:
    for place in ("x/run", "y/run"):
        (tmp_path / place).mkdir(parents=True)
    specs = [
        "scripted",
        str(tmp_path / "x/run"),
        str(tmp_path / "y/run"),
        "scripted",
        "openai:m@https://k:s@host/v1?k=1",
    ]
    assert agent_names(specs) == ["scripted", "run", "run-2", "scripted-2", "openai:m@https://host/v1"]


def test_names_of_which_two_pairs_could_not_be_told_apart_are_refused() -> None:
    with pytest.raises(
        TdGymError, match="difference of 'a-b' and 'a' would be called 'a-b-a', as that of 'a' and 'b-a'"
    ):
        agent_names(["a-b", "a", "b-a"])
    assert agent_names(["a-b", "a", "c-a"]) == ["a-b", "a", "c-a"]


HOSTILE = "<script>alert(1)</script> **bold** [x](javascript:y) \x1b[2J `code`\n# heading\n| a | b |\n&lt;"


def test_transcripts_escape_hostile_text(tmp_path: Path) -> None:
    turn = {"seat": "customer", "text": HOSTILE, "shown": HOSTILE, "action": "", "arguments": {}}
    service = {**turn, "seat": "service", "action": "voucher", "arguments": {"amount": "<b>"}, "tool_message": HOSTILE}
    record = {"seed": 1, "turns": [turn, service], "outcome": {"satisfaction": 2.0}, "costs": {"voucher": 1.0}}
    markdown, page = (path.read_text(encoding="utf-8") for path in transcripts.write(tmp_path, "../a<b>", [record], 5))
    assert "<script" not in page
    assert "<b>" not in page
    assert "\x1b" not in page + markdown
    assert "<" not in markdown
    assert "\n# heading" not in markdown
    assert "**bold**" not in markdown
    assert not re.search(r"(?<!\\)\]\(", markdown)
    assert {path.parent for path in tmp_path.rglob("*.*")} == {tmp_path}


def test_transcripts_show_that_a_tool_refused(tmp_path: Path) -> None:
    turn = {"seat": "service", "text": "Here.", "shown": "Here.", "action": "voucher", "arguments": {"amount": "-5"}}
    refused = {**turn, "tool_message": "The amount must be > 0."}
    record = {"seed": 1, "turns": [turn, refused], "outcome": {}, "costs": {}}
    markdown, page = (path.read_text(encoding="utf-8") for path in transcripts.write(tmp_path, "a", [record], 1))
    assert markdown.endswith(
        "**service \\[voucher amount=-5\\]**: Here.\n\n"
        "**service \\[voucher amount=-5\\]**: Here.  \n**tool**: The amount must be &gt; 0.\n"
    )
    assert page.count('<span class="who">tool</span>\nThe amount must be &gt; 0.</div>') == 1


def test_transcripts_show_a_plan_beside_what_was_said(tmp_path: Path) -> None:
    plan = {"seat": "expert", "text": "offer_voucher\n<b>", "shown": ""}
    turn = {"seat": "service", "text": "Here.", "shown": "Here.", "action": "", "arguments": {}}
    record = {"seed": 1, "turns": [plan, turn], "outcome": {}, "costs": {}}
    markdown, page = (path.read_text(encoding="utf-8") for path in transcripts.write(tmp_path, "a", [record], 1))
    assert markdown.endswith("*planned: offer_voucher\\\\n&lt;b&gt;*\n\n**service**: Here.\n")
    assert '<p class="facts plan">planned: offer_voucher\\n&lt;b&gt;</p>\n<div class="turn service">' in page


def test_transcripts_stop_at_the_count(tmp_path: Path) -> None:
    turn = {"seat": "service", "text": "<think>", "shown": "", "action": "", "arguments": {}}
    records = [{"seed": seed, "turns": [turn], "outcome": {}, "costs": {}} for seed in range(5)]
    path = transcripts.write(tmp_path, "a", records, 2)[0]
    assert path.read_text(encoding="utf-8").count("## Dialogue") == 2
