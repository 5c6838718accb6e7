"""The environment over tau2-bench itself, where a checkout is installed and ``TAU2_DATA_DIR`` names its data.

The same messages are sent through tau2's own loop and scored by tau2's own sum, on its small domain ``mock``; no model
is asked.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import td_gym
from tests.tau2.conftest import forget

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(
        importlib.util.find_spec("tau2") is None or "TAU2_DATA_DIR" not in os.environ,
        reason="no tau2-bench installed, or TAU2_DATA_DIR not set: see docs/tau2.md",
    ),
]
CREATE = '<action>create_task {"user_id": "user_1", "title": "Important Meeting"}</action>'
COMPLETE = '<action>update_task_status {"task_id": "task_1", "status": "completed"}</action>'
NOBODY = '<action>create_task {"user_id": "nobody", "title": "x"}</action>'
LIMITS = {"max_steps": 9, "max_errors": 2}
CASES = [
    (0, [CREATE, "<action>get_users</action>", "It is done.", "bye"]),
    (0, ["Which task?", "bye"]),
    (0, [NOBODY, NOBODY]),
    (0, ["a", "b", "c", "d", "e"]),
    (3, [COMPLETE, "bye"]),
    (4, ['<action>update_task_status {"task_id": "task_2", "status": "completed"}</action>', "bye"]),
    (8, [COMPLETE, "bye"]),
    (9, ['<action>transfer_to_human_agents {"summary": "cannot"}</action>', "bye"]),
    (9, ["bye"]),
]


@pytest.fixture(scope="module")
def tau2() -> Iterator[Any]:
    """Register a customer in tau2 that asks for no model; give its names."""
    forget()
    name = td_gym.register_tau2()
    from loguru import logger

    logger.disable("tau2")
    from tau2.data_model.message import UserMessage
    from tau2.registry import registry
    from tau2.user.user_simulator_base import HalfDuplexUser

    class Scripted(HalfDuplexUser):
        def __init__(self, tools: Any, instructions: Any, llm: Any, llm_args: Any) -> None:
            super().__init__(instructions=instructions, tools=tools)

        def get_init_state(self, message_history: Any = None) -> None:
            return None

        def set_seed(self, seed: int) -> None:
            pass

        def generate_next_message(self, message: Any, state: None) -> tuple[Any, None]:
            words = "###STOP###" if message.content == "bye" else "Go on."
            return UserMessage(role="user", content=words), None

    if "scripted" not in registry.get_users():
        registry.register_user(Scripted, "scripted")
    yield name
    forget()


def _by_tau2(row: int, messages: Sequence[str]) -> tuple[Any, Any]:
    """Return tau2's record and reward of the same messages through its own loop."""
    from tau2.evaluator.evaluator import EvaluationType, evaluate_simulation
    from tau2.orchestrator.orchestrator import Orchestrator
    from tau2.registry import registry
    from tau2.runner import build_environment, build_user

    from td_gym.tau2.actions import functions_of, read
    from td_gym.tau2.conversation import GymAgent

    environment = build_environment("mock")
    task = registry.get_tasks_loader("mock")(None)[row]
    functions = functions_of(environment.get_tools(), solo=False)
    coming = iter(messages)

    class Reader(GymAgent):
        def generate_next_message(self, message: Any, state: None) -> tuple[Any, None]:
            text = next(coming)
            self.give(read(text, functions, 4096), f"call{text}")
            return super().generate_next_message(message, state)

    agent = Reader(environment.get_tools(), environment.get_policy())
    user = build_user("scripted", environment, task)
    record = Orchestrator("mock", agent, user, environment, task, seed=0, **LIMITS).run()
    return record, evaluate_simulation(record, task, EvaluationType.ALL, False, "mock")


@pytest.mark.parametrize(("row", "messages"), CASES)
def test_a_conversation_goes_and_is_paid_as_by_tau2(tau2: str, row: int, messages: list[str]) -> None:
    record, paid = _by_tau2(row, messages)
    env: Any = gymnasium.make(tau2, domain="mock", split=None, user="scripted", **LIMITS)
    env.reset(seed=0, options={"scenario": row})
    steps = [env.step(messages[0])]
    for message in messages[1:]:
        if not (steps[-1][2] or steps[-1][3]):
            steps.append(env.step(message))
    *_, info = steps[-1]
    outcome = info["outcome"]
    assert outcome["ended_by"] == record.termination_reason.value
    assert outcome["reward"] == paid.reward
    read = [m["content"] for m in info["messages"] if m["role"] == "user" and "<tool_result>" not in m["content"]]
    assert read == [message.content for message in record.messages if message.role == "user"]
    parts = {"DB": "db", "COMMUNICATE": "communicate", "ACTION": "action", "ENV_ASSERTION": "environment"}
    told = {parts[kind.value]: value for kind, value in (paid.reward_breakdown or {}).items()}
    assert {name: outcome[name] for name in told} == told


def test_a_ticket_is_solved_without_a_customer(tau2: str) -> None:
    env = gymnasium.make(tau2, domain="mock", split=None, user="dummy_user")
    env.reset(seed=0, options={"scenario": 0})
    env.step(CREATE)
    *_, info = env.step("<action>done</action>")
    assert (info["outcome"]["ended_by"], info["outcome"]["reward"]) == ("agent_stop", 1.0)


def test_the_guides_ticket_is_solved(tau2: str) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "tau2.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(re.findall(r"```python\n(.*?)```", guide, re.DOTALL)[0], "tau2.md", "exec"), names)
    assert names["info"]["outcome"]["success"]


def test_no_task_of_telecom_pays_for_its_database(tau2: str) -> None:
    env: Any = gymnasium.make(tau2, domain="telecom", split=None, user="dummy_user")
    env.reset(seed=0)
    *_, info = env.step("<action>done</action>")
    assert info["outcome"]["db"] is None
    from tau2.registry import registry

    from td_gym.tau2.scoring import basis_of

    assert not any("db" in basis_of(task) for task in registry.get_tasks_loader("telecom")(None))
