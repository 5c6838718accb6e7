"""The guides: what they show is run as a newcomer would run it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pettingzoo
import pytest

import td_gym
from agents import tiny
from agents.tiny import Recipe
from agents.trainer import TrainConfig, train
from evals.cli import main
from evals.study_file import load as load_study
from td_gym import registration
from td_gym.errors import TdGymError
from td_gym.scenarios.plain import PlainScenario
from tests import guides
from tests.llm.server import Answer, serving

SCENARIO, USE = guides.examples("docs/own_scenario.md")
REPAIRS = f"repairs:{guides.OWN_ID}"


@pytest.fixture
def repairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the guide, importable, in the working folder; the scenario as it is registered by it."""
    monkeypatch.chdir(tmp_path)
    with guides.module("repairs", SCENARIO, tmp_path) as module:
        yield module


def test_a_scenario_takes_less_than_a_hundred_lines() -> None:
    assert len(SCENARIO.splitlines()) < 100
    assert max(map(len, SCENARIO.splitlines())) <= 120


def test_its_views_are_made_by_module_and_id(repairs: Any) -> None:
    names: dict[str, Any] = {}
    exec(compile(USE, "own_scenario.md", "exec"), names)
    assert names["env"].unwrapped.scenario.population.name == "easy"
    for made in (names["env"], names["envs"], names["strategies"], names["seats"]):
        made.reset(seed=1)
        made.close()
    assert names["seats"].possible_agents == ["customer", "expert", "service"]


def test_a_newcomer_evaluates_it_by_command(tmp_path: Path) -> None:
    """In a process of its own, which knows the scenario by the name of its module alone."""
    (tmp_path / "repairs.py").write_text(SCENARIO, encoding="utf-8")

    def shell(*words: str) -> str:
        command = [sys.executable, "-m", "evals", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    listed = shell("envs", "--env", REPAIRS)
    assert listed.startswith(f"{guides.OWN_ID}; without a language model td_gym/RepairsStrategy-v0\n")
    assert "customers    scripted, scripted_b" in listed
    assert "FoodDispute" not in listed
    agents = ["--agent", "scripted", "--agent", "random"]
    shown = shell("evaluate", "--env", REPAIRS, *agents, "--episodes", "60", "--out", "runs/first")
    results = json.loads((tmp_path / "runs" / "first" / "results.json").read_text())
    assert results["env"] == guides.OWN_ID
    assert "session_reward [t]" in shown
    own, floor = (results["agents"][name]["metrics"] for name in ("scripted", "random"))
    assert own["success_rate"]["mean"] == own["goal_reward"]["mean"] == 1.0
    assert floor["session_reward"]["mean"] < own["session_reward"]["mean"] == 5.0
    assert 0 < own["cost_goodwill"]["mean"] < floor["cost_goodwill"]["mean"]
    assert floor["sop_breaches"]["mean"] > own["sop_breaches"]["mean"] == 0.0
    assert own["success_rate"]["n"] == 60


def test_a_study_and_a_view_without_words_know_its_module(repairs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text(
        f'env = "{REPAIRS}"\ntuning_budget = "none"\nseeds = [0]\ncolumns = ["engagement"]\n'
        "fixed = ['scripted']\n[arms.random]\nagent = 'random'\n"
    )
    del registration._scenarios["Repairs"]
    del sys.modules["repairs"]
    assert load_study(Path("mine.toml")).columns == ("engagement",)
    view = REPAIRS.replace("Repairs-v0", "RepairsStrategy-v0")
    assert main(["train", "sb3-ppo", "--env", view, "--steps", "1", "--out", "runs/ppo"]) == 0
    told = capsys.readouterr().out.strip().splitlines()[-1]
    assert told.startswith(f"trained; next: td-gym evaluate --env {REPAIRS} ")
    assert main([*told.partition("td-gym ")[2].split(), "--episodes", "2"]) == 0


def test_a_leaderboard_asks_for_its_module(repairs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evaluated = ["evaluate", "--env", REPAIRS, "--agent", "scripted", "--episodes", "3", "--out", "runs/first"]
    assert main(evaluated) == 0
    capsys.readouterr()
    assert main(["leaderboard", "runs/first", "--env", REPAIRS]) == 0
    assert "cost_goodwill [t]" in capsys.readouterr().out
    del registration._scenarios["Repairs"]  # not by monkeypatch, which would put it back after the fixture's end
    assert main(["leaderboard", "runs/first"]) == 2
    assert f"once --env module:{guides.OWN_ID} names the module" in capsys.readouterr().err


def test_a_person_plays_it_and_goes_on_later(
    repairs: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    for kept in (1, 2):
        monkeypatch.setattr("sys.stdin", io.StringIO("I am sorry.\n" * 20))
        assert main(["play", "--env", REPAIRS, "--save", "runs/me"]) == 0
        assert len(Path("runs/me/dialogues.jsonl").read_text().splitlines()) == kept


def test_a_model_learns_its_words_and_is_trained(repairs: Any, tmp_path: Path) -> None:
    recipe = Recipe(size="micro", vocabulary=512, dialogues=8, tokens=2000)
    policy, _ = tiny.train(td_gym.make_scenario(REPAIRS), recipe, report=False)
    policy.save("start")
    config = TrainConfig("cmpo", REPAIRS, tmp_path / "run", model="start", steps=3, customers=2, copies=2)
    train(config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert "costs/goodwill" in lines[0]
    assert main(["evaluate", "--env", REPAIRS, "--agent", "run", "--episodes", "2", "--out", "runs/compare"]) == 0


def test_a_customer_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    guide = (guides.ROOT / "docs/own_scenario.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```py\n(.*?)```", guide, re.DOTALL)
    with guides.module("curt", source, tmp_path) as curt:
        words = ["--env", "curt:td_gym/CurtDispute-v0", "--agent", "scripted", "--episodes", "20", "--out", "runs/curt"]
        assert main(["evaluate", *words]) == 0
        env = gymnasium.make("td_gym/FoodDispute-v0", customer=curt.Curt())
        assert "tasted strange" in env.reset(seed=1)[0]["text"]
    assert metrics("runs/curt")["scripted"]["session_reward"] == 5.0


def test_the_demonstrator_leaves_slots_to_be_filled(repairs: Any) -> None:
    scenario = td_gym.make_scenario(REPAIRS)
    episode = scenario.begin(0)
    for seat, text in (("customer", "Hello?"), ("service", "Sorry! When are you home?")):
        episode.submit(seat, text)
    episode.submit("customer", f"On {episode.facts['home']}.")  # type: ignore[attr-defined]
    assert "day=[day]" in scenario.demonstrator(0).draft(episode)
    assert not re.search(r"\[day\]", *scenario.expert().reply_batch([episode]))


def test_what_the_procedure_does_not_admit_no_tool_does(repairs: Any) -> None:
    episode: Any = td_gym.make_scenario(REPAIRS).begin(0)
    day = next(iter(repairs.days_in(episode.facts["free"])))
    episode.submit("customer", "Hello?")
    early = episode.submit("service", f"<action>book day={day}</action><response>It is {day}.</response>")
    assert episode.transcript[-1].tool_message == "book: this cannot be done now"
    assert (early.strategy, early.costs) == ("chat", {"false_promise": 1.0})
    assert early.terms == {"procedure": 0.0, "progress": 0.0, "form": 1.0, "rules": 0.0}
    assert episode.booked == ""
    assert (episode.sees("customer"), episode.sees("service")) == ("What the desk has done so far: nothing.", "")
    episode.submit("customer", "Well?")
    episode.submit("service", "<action>goodwill</action>When are you at home?")
    assert episode.sees("customer") == "What the desk has done so far: goodwill."


def test_what_the_desk_has_done_is_what_earns(repairs: Any) -> None:
    """By hand: the angry customer without goodwill, with it, and with it a second time."""
    scenario = td_gym.make_scenario(REPAIRS)
    seed = next(seed for seed in range(50) if scenario.begin(seed).persona.emotional_style == "hostile")  # type: ignore[attr-defined]
    customer = scenario.customer("scripted")

    def mark(*gifts: str) -> tuple[float, float]:
        episode: Any = scenario.begin(seed)
        suits = set(repairs.days_in(episode.facts["home"])) & set(repairs.days_in(episode.facts["free"]))
        costs = 0.0
        for text in ("I am sorry. When are you at home?", *gifts, f"<action>book day={suits.pop()}</action>"):
            episode.submit("customer", *customer.reply_batch([episode]))
            costs += episode.submit("service", text).costs.get("goodwill", 0.0)
        episode.submit("customer", *customer.reply_batch([episode]))
        assert scenario.succeeded(episode.outcome)
        return episode.outcome["mark"], costs

    assert mark() == (3.5, 0.0)
    assert mark("<action>goodwill</action>Here.") == (5.0, 1.0)
    assert mark(*["<action>goodwill</action>Here."] * 2) == (5.0, 1.0)


def test_a_scenario_that_lacks_something_is_told_what() -> None:
    class Half(PlainScenario):
        name = "Half"
        words = {"chat": ["Well."]}  # noqa: RUF012

    with pytest.raises(TdGymError, match="Half lacks ") as caught:
        td_gym.register(Half)
    lacking = str(caught.value).removeprefix("Half lacks ").partition(";")[0].split(", ")
    stated = {"costs", "fallback_strategy", "briefings", "patterns", "talkers", "episodes"}
    assert set(lacking) == stated | {"admissible", "draw_facts", "next_strategy", "scaffold_tasks"}
    assert str(caught.value).endswith("; PlainScenario in td_gym.scenarios.plain says what each is.")
    assert "Half" not in td_gym.scenario_names()


def test_a_name_belongs_to_one_scenario(repairs: Any) -> None:
    td_gym.register(repairs.Repairs)  # again, as a notebook does
    assert td_gym.scenario_names().count("Repairs") == 1
    taken = type("Sales", (repairs.Repairs,), {"name": "Sales"})
    with pytest.raises(
        TdGymError, match=r"There is another scenario 'Sales' already, td_gym\..*; give \w+:Sales another name"
    ):
        td_gym.register(taken)
    with pytest.raises(TdGymError, match="a word of letters and digits, such as Repairs, not 'My repairs'"):
        td_gym.register(type("Mine", (repairs.Repairs,), {"name": "My repairs"}))
    for name in ("SalesStrategy", "Tau2"):
        with pytest.raises(TdGymError, match=f"'td_gym/{name}-v0' is another environment already"):
            td_gym.register(type(name, (repairs.Repairs,), {"name": name}))


def test_what_cannot_work_is_refused_when_it_is_registered_or_made(repairs: Any) -> None:
    def changed(**entries: Any) -> type:
        return type("Changed", (repairs.Repairs,), {"name": "Changed", **entries})

    with pytest.raises(TdGymError, match="Register the class Repairs itself"):
        td_gym.register(repairs.Repairs())
    with pytest.raises(TdGymError, match="Unknown fallback_strategy of Changed 'sorry'"):
        td_gym.register(changed(fallback_strategy="sorry"))
    with pytest.raises(TdGymError, match="Changed has no cost 'format', which the engine counts"):
        td_gym.register(changed(costs={"goodwill": repairs.CostSpec("", limit=0.1)}))
    with pytest.raises(TdGymError, match="Changed has no words for its tool 'refund'"):
        changed(tools={"refund": repairs.Tool("refund", frozenset(), "give it back.")})()
    with pytest.raises(TdGymError, match=r"Changed: .*'angry'.* override people"):
        changed(populations=("angry",))()
    with pytest.raises(TdGymError, match=r"is a policy with reply_batch.*; <class"):
        gymnasium.make(REPAIRS, customer=Crowd)


class Crowd:
    def reply_batch(self, episodes: Any) -> list[str]:
        return ["Well?"] * len(episodes)


def test_what_a_class_states_is_kept(repairs: Any) -> None:
    class Visit(repairs.Visit):  # type: ignore[misc]
        def features(self, seat: str) -> Any:
            return np.array([1.0, float(self.booked != "")], dtype=np.float32)

        def use(self, tool: str, arguments: Any) -> str:
            return "monday is free" if tool == "calendar" else str(super().use(tool, arguments))

    class Calendar(repairs.Repairs):  # type: ignore[misc]
        name, episodes = "Calendar", Visit
        feature_names = ("one", "booked")
        customers = ("scripted", "scripted_b", "crowd")
        tools = {  # noqa: RUF012
            **repairs.Repairs.tools,
            "calendar": repairs.Tool("calendar", frozenset(), "say who is free.", looks_up=True),
        }
        words = {"calendar": ["<action>calendar</action>"], **repairs.Repairs.words}  # noqa: RUF012

        def make_customer(self, name: str) -> Any:
            return Crowd() if name == "crowd" else super().make_customer(name)

    td_gym.register(Calendar)
    env: Any = gymnasium.make("td_gym/Calendar-v0", customer="crowd")
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    *_, info = env.step("<action>calendar</action>")
    assert info["messages"][-1]["content"] == "<tool_result>calendar: monday is free</tool_result>"
    assert (info["strategy"], info["rewards"]["progress"]) == ("calendar", 1.0)


def test_a_call_may_end_the_conversation(repairs: Any) -> None:
    class Visit(repairs.Visit):  # type: ignore[misc]
        def use(self, tool: str, arguments: Any) -> str:
            self.ended_by = "transferred" if tool == "transfer" else ""
            return ""

    class Transferring(repairs.Repairs):  # type: ignore[misc]
        name, episodes = "Transferring", Visit
        tools = {"transfer": repairs.Tool("transfer", frozenset(), "hand over to a colleague.")}  # noqa: RUF012
        words = {"transfer": ["<action>transfer</action>"], **repairs.Repairs.words}  # noqa: RUF012

        def admissible(self, episode: Any) -> Any:
            return {"transfer", *super().admissible(episode)}

    td_gym.register(Transferring)
    env: Any = gymnasium.make("td_gym/Transferring-v0")
    env.reset(seed=0)
    _, _, terminated, truncated, info = env.step("<action>transfer</action> A colleague takes over.")
    assert (terminated, truncated, info["outcome"]["ended_by"]) == (True, False, "transferred")
    assert info["messages"][-1]["role"] == "user"


def test_an_option_may_be_added_and_the_others_passed_on(repairs: Any) -> None:
    class Winter(repairs.Repairs):  # type: ignore[misc]
        name = "Winter"

        def __init__(self, snow: bool = False, **options: Any) -> None:
            super().__init__(**options)
            self.snow = snow

    td_gym.register(Winter)
    made: Any = gymnasium.make("td_gym/Winter-v0", snow=True, population="easy", max_turns=4)
    assert (made.unwrapped.scenario.snow, made.unwrapped.scenario.max_turns) == (True, 4)
    with pytest.raises(TdGymError, match=r"Unknown argument 'snwo'.*Did you mean 'snow'"):
        gymnasium.make("td_gym/Winter-v0", snwo=True)


def test_a_scenario_whose_name_begins_like_another_has_its_own_metrics(repairs: Any) -> None:
    from evals.metrics import headline_of

    td_gym.register(type("SalesVisits", (repairs.Repairs,), {"name": "SalesVisits"}))
    assert headline_of("td_gym/SalesVisits-v0").name == "session_reward"
    assert headline_of("td_gym/Sales-v0").name == "conversion_rate"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("no_such_module:td_gym/Repairs-v0", "Cannot import environment 'no_such_module:td_gym/Repairs-v0': ModuleNot"),
        ("repairs:td_gym/Repair-v0", "Unknown environment 'td_gym/Repair-v0'. Did you mean 'td_gym/Repairs-v0'?"),
        ("broken:td_gym/Repairs-v0", "Cannot import environment 'broken:td_gym/Repairs-v0': ZeroDivisionError"),
    ],
)
def test_an_environment_that_cannot_be_found_is_one_line(
    repairs: Any, env: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.py").write_text("1 / 0\n")
    assert main(["evaluate", "--env", env, "--agent", "scripted", "--out", "runs/x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"td-gym: error: {message}")
    assert error.count("\n") == 1


def test_the_registries_know_it(repairs: Any) -> None:
    assert gymnasium.make(REPAIRS).unwrapped.scenario.name == "Repairs"  # type: ignore[attr-defined]
    assert pettingzoo.make("parallel", guides.OWN_ID).unwrapped.scenario.name == "Repairs"
    assert guides.OWN_ID in td_gym.env_ids()


def commands(page: str) -> list[list[str]]:
    """Return the ``td-gym`` commands that a page shows, without their first word."""
    text = (guides.ROOT / page).read_text(encoding="utf-8")
    return [words.split() for words in re.findall(r"^(?:\w+=\S+ )?td-gym (.*)$", text, re.MULTILINE)]


def shortened(command: list[str], episodes: int = 3) -> list[str]:
    """Return an evaluation of few dialogues, no matter how many it names."""
    if "--episodes" in command:
        place = command.index("--episodes")
        command = command[:place] + command[place + 2 :]
    return [*command, "--episodes", str(episodes)]


AGENTS = "docs/own_agent.md"
CONCIERGE, LOCAL, THRIFTY, LOOP = guides.examples(AGENTS)


def metrics(run: str) -> Any:
    agents = json.loads(Path(run, "results.json").read_text())["agents"]
    return {name: {metric: each["mean"] for metric, each in agent["metrics"].items()} for name, agent in agents.items()}


def test_an_agent_that_calls_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (command,) = [words for words in commands(AGENTS) if "concierge:Concierge" in words]
    with guides.module("concierge", CONCIERGE, tmp_path):
        assert main(shortened(command, 20)) == 0
    dialogues = [json.loads(line) for line in Path("runs/concierge/dialogues.jsonl").read_text().splitlines()]
    own = [turn for each in dialogues if each["agent"] == "concierge:Concierge" for turn in each["turns"]]
    looked_up = [turn for turn in own if turn["action"] == "query"]
    assert looked_up
    assert all(turn["tool_message"] and not turn["shown"] for turn in looked_up)
    assert any(turn["shown"].startswith("I would recommend ") for turn in own)
    assert all(each["outcome"]["ended_by"] != "format_error" for each in dialogues)


def test_an_agent_that_wraps_a_model_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = str(guides.ROOT / "agents" / "weights" / "FoodDispute")
    monkeypatch.setenv("MODEL", folder)
    (command,) = [words for words in commands(AGENTS) if "local_model:from_environment" in words]
    with guides.module("local_model", LOCAL.replace("max_new_tokens=200", "max_new_tokens=24"), tmp_path) as module:
        assert main(shortened(command)) == 0
        one, other = module.from_environment(), module.LocalModel(folder, advice=" Sorry?")
        chat = td_gym.make_scenario("FoodDispute").begin(0).messages("service")
        chat.append({"role": "user", "content": "My soup was cold."})
        longer = [*chat, {"role": "assistant", "content": "Oh."}, {"role": "user", "content": "Well?"}]
        together = one.act_batch([None] * 2, [chat, longer])
        assert together == [one.act(None, chat), one.act(None, longer)]
        assert all(together)
        assert other.act(None, chat) != together[0]
    assert metrics("runs/local").keys() == {"local_model:from_environment", "scripted"}


def test_agents_around_others_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluated = [words for words in commands(AGENTS) if "thrifty:scripted" in words]
    (table,) = [words for words in commands(AGENTS) if words[0] == "leaderboard"]
    with guides.module("thrifty", THRIFTY, tmp_path):
        for command in evaluated:
            assert main(shortened(command, 12)) == 0
        assert main(table) == 0
    assert Path("runs/table.md").read_text().count("| thrifty:scripted |") == 2
    early = {"thrifty:scripted": 0, "scripted": 0}
    for line in Path("runs/thrifty/dialogues.jsonl").read_text().splitlines():
        dialogue = json.loads(line)
        own = [turn for turn in dialogue["turns"] if turn["seat"] == "service"]
        early[dialogue["agent"]] += any(turn["action"] == "voucher" for turn in own[:3])
    assert early["thrifty:scripted"] == 0 < early["scripted"]


def test_an_agent_around_one_on_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "--env", "td_gym/FoodDispute-v0", "--agent", "thrifty:on_a_server", "--out", "runs/x"]
    with serving(lambda payload, number: Answer("Here.", calls=(("voucher", "{}"),))) as server:
        source = THRIFTY.replace("http://localhost:8000/v1", server.url)
        assert source != THRIFTY
        with guides.module("thrifty", source, tmp_path):
            assert main(shortened(words, 2)) == 0
    actions = [
        turn["action"]
        for turn in json.loads(Path("runs/x/dialogues.jsonl").read_text().splitlines()[0])["turns"]
        if turn["seat"] == "service"
    ]
    assert actions[:4] == ["", "", "", "voucher"]


def test_an_agent_in_a_loop_of_ones_own() -> None:
    names: dict[str, Any] = {}
    exec(compile(LOOP, "own_agent.md", "exec"), names)
    assert names["info"]["outcome"]["turns"] >= 1


def test_commands_on_a_scenario_of_ones_own_are_understood(repairs: Any) -> None:
    """All but training and playing, which have tests of their own."""
    shown = [
        words for words in commands("docs/own_scenario.md") if words[0] == "evaluate" and "runs/compare" not in words
    ]
    assert len(shown) == 2
    for command in shown:
        assert main(shortened(command)) == 0
    (table,) = [words for words in commands("docs/own_scenario.md") if words[0] == "leaderboard"]
    assert main(table) == 0
