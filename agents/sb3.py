"""Agents that choose strategies, trained with stable-baselines3 on a scenario's Discrete view.

A run directory holds ``strategy.json``, ``policy.safetensors`` and ``metrics.jsonl``; nothing in it is pickled.  The
trained agent chooses by what the desk's screen shows and the procedure admits, and its scenario puts the choice into
words, so it stands in one table with agents that write.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from torch import Tensor

from agents.checkpoint import append_metrics, claimed, cut_metrics
from agents.config import settings_of, software, versions_of
from agents.names import STRATEGY
from agents.progress import TrainingProgress
from agents.sampler import draw
from personas.packaged import packaged_toml
from td_gym.draws import uniform
from td_gym.envs.planning import BREACHES, mask, realise_choice
from td_gym.envs.strategy import StrategyEnv
from td_gym.episode import Episode
from td_gym.errors import TdGymError, as_count, unknown
from td_gym.json_data import as_object, as_text, read_json
from td_gym.protocol import Messages
from td_gym.registration import make_scenario, strategy_scenario
from td_gym.scenario import Scenario

WEIGHTS = "policy.safetensors"
ENVS = 8
"""Conversations side by side."""
UPDATE = 2048
"""Choices, over all conversations, in an update."""
_SEEDS = 2**32
"""The library takes seeds below this."""
_METHODS = packaged_toml("agents", "sb3.toml")
_COUNTS = frozenset(("n_epochs", "batch_size", "buffer_size", "target_update_interval"))
"""Settings that are whole numbers of at least 1."""
_FIXED = frozenset(
    ("policy", "env", "seed", "device", "n_steps", "policy_kwargs", "tensorboard_log", "verbose", "stats_window_size")
)
"""Settings that are the run's own, or that an update, reading the weights back or what is logged depends on."""


@dataclass(frozen=True)
class StrategyRun:
    """One training run: ``steps`` times ``UPDATE`` choices with customers of ``split``."""

    method: str
    env: str
    """Id of a Discrete view."""
    out: Path
    steps: int = 40
    seed: int = 0
    population: str = ""
    customer: str = ""
    split: str = "train"
    data: Path | None = None
    """Folder with the published data of MultiWOZ."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the algorithm in place of those in ``sb3.toml``."""


def train(run: StrategyRun) -> None:
    """Train, and leave the run directory ``run.out``; ``TdGymError`` for a setting the algorithm does not take."""
    scenario = make_scenario(strategy_scenario(run.env), population=run.population or None, data_dir=run.data)
    scenario.check_customer(run.customer, training=True)
    _check_options(run)
    envs = make_vec_env(
        lambda: StrategyEnv(scenario, split=run.split, customer=run.customer or None), ENVS, run.seed % _SEEDS
    )
    settings = {**_METHODS[run.method]["settings"], **run.options}
    try:
        model = _class_of(run.method)("MultiInputPolicy", envs, seed=run.seed % _SEEDS, device="cpu", **settings)
    except (TypeError, ValueError, AssertionError) as error:
        raise TdGymError(f"{run.method} does not take these options: {_one_line(error)}.") from error
    envs.seed(run.seed * ENVS)  # the library's own would share all but one of their customers between two runs
    model.set_logger(Logger(None, []))  # its own leaves an empty folder among the temporary files
    with claimed(run.out):
        cut_metrics(run.out, 0)
        with TrainingProgress(run.method, 0, run.steps, {BREACHES: None}) as progress:
            try:
                model.learn(run.steps * UPDATE, callback=_Recorder(run.out, progress))
            except (TypeError, ValueError, AssertionError) as error:
                raise TdGymError(f"{run.method} cannot be trained with these options: {_one_line(error)}.") from error
        save_file({key: value.contiguous() for key, value in model.policy.state_dict().items()}, run.out / WEIGHTS)
        about = {
            **settings_of(run, "out", "options"),
            "settings": settings,
            "environment": versions_of(scenario),
            "software": software("stable-baselines3", "sb3-contrib"),
        }
        (run.out / STRATEGY).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _check_options(run: StrategyRun) -> None:
    """Raise ``TdGymError`` for an option that is not to be set, or whose value is of another kind than its default."""
    known = inspect.signature(_class_of(run.method)).parameters
    for name, value in run.options.items():
        if name in _FIXED:
            raise TdGymError(f"{run.method} cannot be trained with another {name}; leave it out.")
        default = known[name].default if name in known else value
        if _kind(value) != _kind(default):
            raise TdGymError(f"{name} of {run.method} is {_kind(default)}, not {value!r}.")
        if name in _COUNTS:
            as_count(name, value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "text" if isinstance(value, str) else "a number"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _class_of(method: str) -> Any:
    found = _METHODS[method]
    return getattr(import_module(found["module"]), found["class"])


class _Recorder(BaseCallback):
    """Adds a line to the metrics of the run directory ``out`` every ``UPDATE`` choices."""

    def __init__(self, out: Path, progress: TrainingProgress) -> None:
        super().__init__()
        self._out, self._progress = out, progress
        self._rewards: list[float] = []
        self._choices: list[float] = []
        self._breaches = 0.0

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self._breaches += info["costs"][BREACHES]
            if "episode" in info:
                self._rewards.append(float(info["episode"]["r"]))
                self._choices.append(float(info["episode"]["l"]))
        if self.num_timesteps % UPDATE == 0:
            self._close(self.num_timesteps // UPDATE)
        return True

    def _close(self, update: int) -> None:
        metrics = {
            "charts/episodic_return": fmean(self._rewards),
            "charts/choices": fmean(self._choices),
            f"costs/{BREACHES}": self._breaches / len(self._rewards),
        }
        append_metrics(self._out, update, metrics)
        self._progress.show(update, metrics)
        self._rewards, self._choices, self._breaches = [], [], 0.0


class StrategyAgent:
    """A trained policy over strategies.

    It is given the ``Episode``, of which it uses what the Discrete view shows: the desk's screen, the admissible
    strategies, and the messages that the words are made from.
    """

    needs_episode = True

    def __init__(self, scenario: Scenario, policy: Any, masked: bool, temperature: float = 1.0) -> None:
        self._scenario = scenario
        self._policy = policy
        self._masked = masked
        self._temperature = temperature
        self._seed = 0
        self.planned: list[str] = []
        """The strategy of the message returned last."""

    def reset(self, seed: int | None = None) -> None:
        """Start afresh; ``seed`` fixes the agent's own draws."""
        self._seed = 0 if seed is None else seed

    def act(self, observation: Any, messages: Messages) -> str:
        """Refuse: the words alone do not show which strategies are admissible."""
        raise TdGymError("An agent of strategies needs the desk's screen; run it by td-gym evaluate or play.")

    def act_episode(self, episode: Episode) -> str:
        """Return the next message in ``episode``: a strategy drawn from the policy, in template words."""
        text, strategy, _ = realise_choice(episode, self.choose(episode))
        self.planned = [strategy]
        return text

    def choose(self, episode: Episode) -> str:
        """Return a strategy for the next message in ``episode``; a masked policy chooses admissible ones alone."""
        admitted = mask(episode)
        scores = self._scores({"observation": episode.features("service"), "action_mask": admitted})
        if self._masked:
            scores = scores.masked_fill(torch.from_numpy(admitted) == 0, -torch.inf)
        point = uniform(self._seed, episode.seed, len(episode.transcript), "strategy")
        temperature = self._temperature if self._samples else 0.0
        chosen, _ = draw(scores, torch.tensor([point], dtype=torch.float64), temperature)
        return self._scenario.strategies[int(chosen)]

    @property
    def _samples(self) -> bool:
        return not hasattr(self._policy, "q_net")

    def _scores(self, observation: dict[str, Any]) -> Tensor:
        """Return a log probability, or a value, for each strategy, shape ``(1, n)``."""
        tensors, _ = self._policy.obs_to_tensor(observation)
        scores: Tensor
        with torch.no_grad():
            if self._samples:
                scores = self._policy.get_distribution(tensors).distribution.logits
            else:
                scores = self._policy.q_net(tensors)
        return scores


def load(folder: Path, scenario: Scenario, temperature: float = 1.0) -> StrategyAgent:
    """Return the agent of a run directory; ``TdGymError`` where it is of another scenario, or broken."""
    where = repr(str(folder / STRATEGY))
    about = as_object(read_json(folder / STRATEGY), where)
    method, here = as_text(about.get("method"), f"{where}: method"), versions_of(scenario)
    if method not in _METHODS:
        raise unknown(f"method in {STRATEGY}", method, _METHODS)
    if (then := about.get("environment")) != here:
        raise TdGymError(f"{folder.name!r} was trained for {then}, here it is {here}; train it again.")
    env = StrategyEnv(scenario)
    form = _class_of(method).policy_aliases["MultiInputPolicy"]
    policy = form(env.observation_space, env.action_space, lambda _: 0.0)
    try:
        weights = load_file(folder / WEIGHTS)
        policy.load_state_dict(weights)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise TdGymError(f"{WEIGHTS} in {folder.name!r} cannot be read: {_one_line(error)}.") from error
    if not all(torch.isfinite(values).all() for values in weights.values()):
        raise TdGymError(f"{WEIGHTS} in {folder.name!r} holds values that are no numbers; train it again.")
    policy.set_training_mode(False)
    return StrategyAgent(scenario, policy, _METHODS[method]["masked"], temperature)
