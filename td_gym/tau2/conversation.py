"""One conversation of tau2, its ``Orchestrator`` driven step by step in the caller's thread.

Only what is public there is used: ``initialize``, ``step`` and the attributes that say whose turn it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tau2.agent.base_agent import HalfDuplexAgent, is_valid_agent_history_message
from tau2.agent.llm_agent import LLMSoloAgent
from tau2.data_model.message import AssistantMessage, ToolCall
from tau2.data_model.simulation import SimulationRun, TerminationReason
from tau2.orchestrator.orchestrator import Orchestrator, Role
from tau2.runner import build_environment, build_user
from tau2.user.user_simulator import DummyUser

from td_gym.errors import TdGymError
from td_gym.llm.client import ServerError
from td_gym.tau2.actions import DONE, Function, Said, briefing, functions_of, written_call
from td_gym.turns import Turn

SOLO = "dummy_user"
"""tau2's name for the user that is none: the agent answers a ticket."""


class GymAgent(HalfDuplexAgent):
    """The service seat as tau2 sees it: it says what it was given.

    Without a user tau2 lets in agents of this class name only.
    """

    def __init__(self, tools: list[Any], policy: str) -> None:
        super().__init__(tools=tools, domain_policy=policy)
        self.given: Any = None
        """The next message, ``None`` where there is none yet."""
        self._closing: Any = None

    def give(self, said: Said, call_id: str) -> None:
        """Take the next message; tau2 wants either words or a call."""
        if said.call == DONE:
            self.given = self._closing = AssistantMessage(role="assistant", content=LLMSoloAgent.STOP_TOKEN)
        elif said.call:
            call = ToolCall(id=call_id, name=said.call, arguments=dict(said.arguments))
            self.given = AssistantMessage(role="assistant", tool_calls=[call])
        else:
            self.given = AssistantMessage(role="assistant", content=said.words)

    def get_init_state(self, message_history: list[Any] | None = None) -> None:
        """Return nothing: the conversation is kept outside."""

    def generate_next_message(self, message: Any, state: None) -> tuple[Any, None]:
        """Return the message that was given."""
        given, self.given = self.given, None
        return given, None

    def is_stop(self, message: Any) -> bool:
        """Return whether ``message`` closes a ticket; no words do, whatever they say."""
        return message is self._closing

    def set_seed(self, seed: int) -> None:
        """Do nothing: nothing is drawn here."""


class Conversation:
    """A task of a domain, up to where the service seat has to speak.

    Raises ``TdGymError`` where the domain has no solo mode, ``ServerError`` where tau2 breaks off.
    """

    def __init__(
        self, domain: str, task: Any, user: str, user_llm: str | None, user_llm_args: dict[str, Any] | None,
        seed: int, max_steps: int, max_errors: int,
    ) -> None:  # fmt: skip
        self.task = task
        self.turns: list[Turn] = []
        """What the service seat has said and read."""
        self.calls = self.errors = 0
        """Tool calls of the service seat, and how many of them failed."""
        self.solo = user == SOLO
        self._seed = seed
        environment = _environment(domain, self.solo)
        tools = environment.get_tools()
        if self.solo:
            tools += _user_tools(environment)
        self.functions: dict[str, Function] = functions_of(tools, self.solo)
        self.briefing = briefing(domain, environment.get_policy(), self.functions, self.solo)
        self._agent = GymAgent(tools, environment.get_policy())
        with _nothing_scored():
            model = {"llm": user_llm, "llm_args": user_llm_args}
            played_by = DummyUser() if self.solo else build_user(user, environment, task, **model)
        self._tau2 = Orchestrator(
            domain, self._agent, played_by, environment, task,
            max_steps=max_steps, max_errors=max_errors, seed=seed, solo_mode=self.solo,
        )  # fmt: skip
        self._read = 0
        self._text = ""
        self._begun = False
        if self.solo and task.ticket:
            self.turns.append(Turn("customer", task.ticket, task.ticket))
        # Without a user and a history tau2 asks for the first message while it initialises.
        if not self.solo or history_of(task):
            self._advance()

    @property
    def ended_by(self) -> str:
        """tau2's reason for the end, empty before it."""
        reason = self._tau2.termination_reason
        return str(reason.value) if self._tau2.done else ""

    @property
    def progress(self) -> tuple[float, float]:
        """Return the shares of the steps and of the errors that tau2 allows which are used up, each in [0, 1]."""
        it = self._tau2
        return min(it.step_count / it.max_steps, 1.0), min(it.num_errors / it.max_errors, 1.0)

    def say(self, text: str, said: Said) -> None:
        """Send the service seat's message, ``text`` as ``said``, and go on to where the seat has to speak again.

        Raises ``ServerError`` where tau2 breaks off, most often since the user's model fails; the conversation is
        worth nothing then.
        """
        self.calls += bool(said.call) and said.call != DONE
        self._text = text
        self._agent.give(said, f"call{self.calls}")
        self._advance()

    def break_off(self, text: str) -> None:
        """End with a message that is none."""
        self.turns.append(Turn("service", text, text))
        self._tau2.done, self._tau2.termination_reason = True, TerminationReason.AGENT_ERROR

    def record(self) -> Any:
        """Return what tau2 scores."""
        return record_of(self.task, self._tau2.get_messages(), self._tau2.termination_reason, self._seed)

    def _advance(self) -> None:
        it = self._tau2
        with _nothing_scored():
            if not self._begun:
                self._begun = True
                it.initialize()
            while not it.done and (it.to_role != Role.AGENT or self._agent.given is not None):
                it.step()
                self._keep_limits()
        self._hear()

    def _keep_limits(self) -> None:
        """End where tau2's own loop would: never while a tool's answer is due."""
        it = self._tau2
        if it.to_role == Role.ENV:
            return
        if it.step_count >= it.max_steps:
            it.done, it.termination_reason = True, TerminationReason.MAX_STEPS
        if it.num_errors >= it.max_errors:
            it.done, it.termination_reason = True, TerminationReason.TOO_MANY_ERRORS

    def _hear(self) -> None:
        """Note what was said since; what a customer does with tools of its own the service seat does not see."""
        trajectory = self._tau2.trajectory
        for message in trajectory[self._read :]:
            if not is_valid_agent_history_message(message):
                continue
            if message.role == "tool":
                self.errors += bool(message.error)
                answers = (self.turns[-1].tool_message, message.content or "(nothing)")
                self.turns[-1].tool_message = "\n".join(filter(None, answers))
            elif message.role == "assistant":
                text, self._text = self._text or _written(message), ""
                self.turns.append(Turn("service", text, text))
            else:
                words = message.content or ""
                self.turns.append(Turn("customer", words, words))
        self._read = len(trajectory)


def history_of(task: Any) -> list[Any]:
    """Return the messages that a task begins with."""
    state = task.initial_state
    return list((state and state.message_history) or ())


def record_of(task: Any, messages: list[Any], reason: Any, seed: int | None) -> Any:
    """Return a conversation as tau2 scores it; times are no part of it."""
    return SimulationRun(
        id="td-gym", task_id=task.id, start_time="", end_time="", duration=0.0,
        termination_reason=reason, messages=messages, seed=seed,
    )  # fmt: skip


def _environment(domain: str, solo: bool) -> Any:
    try:
        return build_environment(domain, solo_mode=solo)
    except ValueError as error:  # so tau2's domains refuse the solo mode
        raise TdGymError(f"tau2 cannot set up {domain!r}: {error}.") from error


def _user_tools(environment: Any) -> list[Any]:
    """Return the tools of a domain's user, none where it has none."""
    try:
        return list(environment.get_user_tools())
    except ValueError:
        return []


def _written(message: Any) -> str:
    """Return a message of the service seat that a task begins with, as the seat would have written it."""
    return "".join(written_call(call.name, call.arguments) for call in message.tool_calls or ()) or str(message.content)


@contextmanager
def _nothing_scored() -> Iterator[None]:
    """Turn whatever tau2, its user or a model of theirs raises into one line, in which no key can stand."""
    try:
        yield
    except Exception as error:
        raise ServerError(
            f"tau2 broke off with {type(error).__name__}, as where the user's model fails; the conversation is not "
            "scored. See tau2's own log, then call reset()."
        ) from None
