"""The ``Agent`` protocol and ``make``, which turns a spec such as ``scripted`` or a directory into an agent.

An agent sees observations and messages and nothing else: no reward, no cost, no outcome.  Nothing
here needs torch until a spec names a language model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from agents.names import CASES, SHIPPED, STRATEGY
from td_gym.episode import Episode
from td_gym.errors import TdGymError, installed_extras, unknown
from td_gym.protocol import Messages
from td_gym.registration import import_named, make_scenario, scenario_names
from td_gym.scenario import Scenario

if TYPE_CHECKING:
    from td_gym.llm.models import Models

T = TypeVar("T")
_SERVER = "openai:"
_FORMS = ("RUN_DIRECTORY", "MODEL_DIRECTORY", "DOWNLOADED_HUB_ID", "package.module:factory", f"{_SERVER}MODEL@URL")


@runtime_checkable
class Agent(Protocol):
    """Occupant of a seat.

    Three members are optional. ``act_batch(observations, messages) -> list[str]`` answers in many conversations at
    once. ``copy() -> Agent`` is another of its kind, with which it holds conversations side by side; ``reset`` must
    leave nothing of the conversation before.
    ``planned: list[str]`` is what an agent that plans meant to follow: the strategy of each of the messages that it
    returned last, in their order, empty for none.
    """

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` fixes the agent's own draws."""

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the next message; ``messages`` are ``info["messages"]`` of the environment."""


class ByBriefing(Generic[T]):
    """What ``build`` makes of a scenario, one for each that is met; the briefing says which a conversation is in."""

    def __init__(self, build: Callable[[Scenario], T]) -> None:
        self._build = build
        self._built: dict[str, T] = {}
        """By the first line of the scenario's briefings."""

    def of(self, messages: Messages) -> T:
        """Return that of the scenario of a conversation; ``TdGymError`` where no registered one opens so."""
        briefing = briefing_of(messages)
        heading = heading_of(briefing)
        if heading not in self._built:
            self._built[heading] = self._build(scenario_of_briefing(briefing))
        return self._built[heading]

    def all(self) -> Collection[T]:
        """Return all that were made so far."""
        return self._built.values()


class ScriptedAgent:
    """A scenario's scripted agent: ``choose(scenario)`` has ``act(messages, seed) -> str``.

    Without a scenario it is found for every conversation from its briefing.
    """

    def __init__(self, choose: Callable[[Scenario], Any], scenario: Scenario | None = None) -> None:
        self._actors = ByBriefing(choose)
        self._fixed = choose(scenario) if scenario is not None else None
        self._seed = 0

    def copy(self) -> ScriptedAgent:
        """Return another such agent."""
        return copy(self)

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` fixes the choice among wordings."""
        self._seed = 0 if seed is None else seed

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the next message."""
        actor = self._fixed or self._actors.of(messages)
        reply: str = actor.act([dict(message) for message in messages], self._seed)
        return reply


class BriefedAgent:
    """One agent for each scenario, made when a conversation is first in it, which the briefing says."""

    def __init__(self, build: Callable[[Scenario], Any]) -> None:
        self._agents = ByBriefing(lambda scenario: self._begun(build(scenario)))
        self._seed: int | None = None

    def _begun(self, agent: Any) -> Any:
        agent.reset(self._seed)
        return agent

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` fixes the agent's own draws."""
        self._seed = self._seed if seed is None else seed
        for agent in self._agents.all():
            agent.reset(seed)

    def act(self, observation: Any, messages: Messages) -> str:
        """Return the next message."""
        return self.act_batch([observation], [messages])[0]

    def act_batch(self, observations: Sequence[Any], messages: Sequence[Messages]) -> list[str]:
        """Return the next message in each conversation."""
        agents = [self._agents.of(each) for each in messages]
        replies = [""] * len(messages)
        for agent in dict.fromkeys(agents):
            mine = [i for i, each in enumerate(agents) if each is agent]
            said = agent.act_batch([observations[i] for i in mine], [messages[i] for i in mine])
            for i, reply in zip(mine, said, strict=True):
                replies[i] = reply
        return replies


class OracleAgent:
    """The one privileged agent: it must be given the ``Episode``, which only the evaluation runner does."""

    needs_episode = True

    def copy(self) -> OracleAgent:
        """Return another such agent."""
        return OracleAgent()

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; the oracle's draws are keyed by the episode's seed."""

    def act(self, observation: Any, messages: Messages) -> str:
        """Refuse: messages alone are not enough for an oracle."""
        raise TdGymError(
            "The oracle needs the episode itself, so only `td-gym evaluate` can run it; take another agent."
        )

    def act_episode(self, episode: Episode) -> str:
        """Return the next message in ``episode``, knowing what is hidden in it."""
        return episode.scenario.oracle().reply_batch([episode])[0]


def make(
    spec: str,
    *,
    env_id: str | None = None,
    scenario: Scenario | None = None,
    temperature: float = 1.0,
    device: str = "cpu",
    models: Models | None = None,
) -> Agent:
    """Return the agent that ``spec`` names.

    ``scripted`` (the reference agent), ``oracle``, a floor or a further reference of the scenario, ``tiny``
    (the weights shipped for the scenario), a run directory or Hugging Face model directory, the id of a hub model
    that was downloaded before, ``package.module:factory``, or ``openai:MODEL@URL``, a model on a server.  Without
    ``env_id`` or ``scenario`` an agent finds the scenario of every conversation from its briefing; an agent that
    chooses strategies needs to be told.  ``temperature`` is that of what is sampled, ``device`` that of language
    models, ``models`` the servers of those that are on one, by default its own.  Raises ``TdGymError`` for anything
    else.
    """
    if scenario is None and env_id is not None:
        scenario = make_scenario(env_id)
    if spec == "scripted":
        return ScriptedAgent(lambda found: found.expert(), scenario)
    if spec == "oracle":
        return OracleAgent()
    scripted = scripted_names(scenario)
    if spec in scripted:
        return ScriptedAgent(lambda found: found.references().get(spec) or found.floor(spec), scenario)
    if temperature < 0:
        raise TdGymError(f"The temperature must not be negative, it is {temperature}.")
    if spec.startswith(_SERVER):
        from agents.server_agent import on_server
        from td_gym.llm.models import Models

        return on_server(spec.removeprefix(_SERVER), models or Models(), scenario, temperature)
    if (Path(spec) / STRATEGY).is_file():
        return _strategies(Path(spec), scenario, temperature)
    if spec in SHIPPED or Path(spec).is_dir() or _is_downloaded(spec):
        return _language_model(spec, scenario, temperature, device)
    if ":" in spec:
        return _from_factory(spec)
    raise unknown("agent", spec, ("scripted", "oracle", *scripted, *SHIPPED, *_FORMS))


def scripted_names(scenario: Scenario | None = None) -> tuple[str, ...]:
    """Return the floors and references of a scenario, by default of all registered ones, each name once."""
    scenarios = map(make_scenario, scenario_names()) if scenario is None else [scenario]
    return tuple(dict.fromkeys(name for each in scenarios for name in (*each.floors, *each.references())))


def _is_downloaded(spec: str) -> bool:
    """Return whether ``spec`` is the id of a model in the local Hugging Face cache; nothing is fetched."""
    if "/" not in spec:
        return False
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return False
    try:
        return isinstance(try_to_load_from_cache(spec, "config.json"), str)
    except HFValidationError:
        return False


def _language_model(spec: str, scenario: Scenario | None, temperature: float, device: str) -> Agent:
    with installed_extras():
        from agents import memory
        from agents.planning_agent import agent_of
        from agents.token_agent import TokenAgent
        from agents.token_policy import TokenPolicy

    def load(found: Scenario) -> TokenAgent:
        if (Path(spec) / CASES).is_file():
            return memory.load(Path(spec), found, temperature, device)
        return agent_of(TokenPolicy.load(spec, device, scenario=found), found, temperature=temperature)

    return BriefedAgent(load) if scenario is None else load(scenario)


def _strategies(folder: Path, scenario: Scenario | None, temperature: float) -> Agent:
    if scenario is None:
        raise TdGymError(f"{folder.name!r} chooses strategies; name the environment when making the agent.")
    with installed_extras():
        import stable_baselines3  # noqa: F401  # first, since the extra that brings it brings torch as well

        from agents.sb3 import load
    return load(folder, scenario, temperature)


def _from_factory(spec: str) -> Agent:
    module_name, _, factory_name = spec.partition(":")
    module = import_named(module_name, f"agent {spec!r}")
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise TdGymError(f"Module {module_name!r} has no factory {factory_name!r}; write package.module:factory.")
    try:
        agent = factory()
    except Exception as error:  # whatever the user's code raises becomes one line
        raise TdGymError(f"The factory {spec!r} failed: {type(error).__name__}: {error}.") from error
    if not isinstance(agent, Agent):
        raise TdGymError(f"The factory {spec!r} made a {type(agent).__name__}, which has no reset() and act().")
    return agent


def briefing_of(messages: Messages) -> str:
    """Return the system message that opens ``messages``, empty when none does."""
    return messages[0]["content"] if messages and messages[0]["role"] == "system" else ""


def heading_of(briefing: str) -> str:
    """Return the line that a briefing opens with, the same in all of a scenario."""
    return briefing.split("\n", 1)[0]


def scenario_of_briefing(briefing: str) -> Scenario:
    """Return the registered scenario whose service briefings open with the same line as ``briefing``."""
    for name in scenario_names():
        scenario = make_scenario(name)
        if heading_of(scenario.begin(0).briefing("service")) == heading_of(briefing):
            return scenario
    raise TdGymError("This briefing is of no registered scenario; name the environment when making the agent.")
