"""What a training run is asked to do, checked, and as ``config.json`` records it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from agents.model_files import DTYPES
from agents.names import HF, SAMPLERS, VLLM
from agents.token_policy import TokenPolicy
from td_gym.errors import TdGymError, as_positive, as_seed, unknown
from td_gym.protocol import PROTOCOL_VERSION
from td_gym.registration import make_scenario
from td_gym.scenario import Scenario


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of one training run."""

    method: str
    """Training method, one of ``agents.methods.method_names()``."""
    env: str
    """Environment id, such as ``td_gym/FoodDispute-v0``."""
    out: Path
    """Run directory."""
    model: str = "tiny"
    """``tiny``, a run directory, or a Hugging Face causal LM; also the frozen reference."""
    steps: int = 40
    """Policy updates.  A resumed run may have more, unless the method shares out its stages over all of them; the mean
    that ``average`` names is then exact only where it begins after the updates done before, see ``check_same``."""
    seed: int = 0
    """Fixes customers, sampling and the order of minibatches."""
    preset: str = ""
    """Preset of the method; its first when empty."""
    budgets: Mapping[str, float] = field(default_factory=dict)
    """Limits on the mean cost per dialogue, by name; the scenario's own when empty.  They replace the
    scenario's own: with ``{"overpromise": 0.3}`` no other cost has a limit.  Refused where the method
    and preset ignore budgets."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the method's configuration that replace the preset's; nested ones as tables."""
    customers: int = 32
    """Groups in a batch, over all processes."""
    copies: int = 4
    """Dialogues with each customer; for ``more``, replies to each history."""
    lr: float = 3e-4
    """Adam's learning rate, constant."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates; the first is low because a multiplier must be able to turn the policy round."""
    average: float = 0.5
    """Share of the updates, from the last, whose mean weights are saved: single updates swing round a
    budget, their mean does not.  0 saves the latest weights."""
    max_grad_norm: float = 1.0
    """The gradient's norm is clipped to this."""
    minibatches: int = 2
    """Optimiser steps per rollout, each on its own share of the dialogues."""
    micro_tokens: int = 4096
    """Tokens, padding included, that one forward pass holds; a matter of memory, not of results."""
    max_new_tokens: int | None = None
    """Longest reply; the model's own default when none."""
    max_context: int | None = None
    """Tokens of a conversation that the policy may read, its reply included; of a longer one it reads the briefing and
    the latest exchanges.  The model's own limit when none."""
    lora_rank: int = 0
    """Rank of the adapter that is trained in the model's place (LoRA), 0 to train all weights."""
    dtype: str = "float32"
    """What the weights beside an adapter are held in: ``float32``, ``bfloat16`` or ``float16``.  What is trained is
    always float32."""
    sampler: str = HF
    """What writes the policy's messages: ``hf``, the model itself, or ``vllm``, see ``agents.vllm_writer``."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory that vLLM takes, a copy of the weights included."""
    gradient_checkpointing: bool = False
    """Keep of the model's blocks what they read alone, and compute the rest again for the gradient: less memory, more
    time, the same results."""
    population: str = ""
    """Population of personas; the environment's default when empty."""
    data: Path | None = None
    """Folder with the published data of MultiWOZ, for its tables, goals and recorded dialogues."""
    seat: str = "service"
    """The seat that learns."""
    opponent: str = ""
    """Model in the other seat, named as ``model`` is; when empty a customer is simulated, and the reference agent
    serves a customer that learns."""
    customer: str = ""
    """Simulated customer; the scenario's first when empty, and none that is kept for evaluation."""
    split: str = "train"
    """Customers to learn from: ``train`` or ``validation``."""
    device: str = "cpu"
    """``cpu`` or ``cuda``; under ``torchrun`` each process takes the GPU of its local rank."""
    checkpoint_every: int = 5
    """Updates between two checkpoints; the last update is always kept."""
    resume: bool = False
    """Go on from the last checkpoint in ``out``."""

    def __post_init__(self) -> None:
        if self.split == "test":
            raise TdGymError("The test split is for evaluation only; train on 'train' or 'validation'.")
        if self.split not in ("train", "validation"):
            raise unknown("split", self.split, ("train", "validation"))
        if self.seat not in Scenario.seats:
            raise unknown("seat", self.seat, Scenario.seats)
        if self.customer and (self.opponent or self.seat == "customer"):
            raise TdGymError(f"No customer is simulated here, so {self.customer!r} would not speak; leave it out.")
        for name in ("steps", "customers", "copies", "minibatches", "micro_tokens", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise TdGymError(f"{name} must be at least 1, it is {getattr(self, name)}.")
        as_seed(self.seed)
        if not 0 <= self.average <= 1:
            raise TdGymError(f"average must be between 0 and 1, it is {self.average}.")
        as_positive("lr", self.lr)
        if len(self.betas) != 2 or not all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in self.betas):
            raise TdGymError(f"betas must be two numbers of at least 0 and below 1, not {list(self.betas)}.")
        if not self.max_grad_norm > 0:
            raise TdGymError(f"max_grad_norm must be above 0, it is {self.max_grad_norm}.")
        if self.max_context is not None and self.max_context < 1:
            raise TdGymError(f"max_context must be at least 1, it is {self.max_context}.")
        if self.lora_rank < 0:
            raise TdGymError(f"lora_rank must not be negative, it is {self.lora_rank}.")
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        if self.dtype != DTYPES[0] and not self.lora_rank:
            raise TdGymError(f"Weights that are trained are float32; to hold them in {self.dtype}, train an adapter.")
        if self.sampler not in SAMPLERS:
            raise unknown("sampler", self.sampler, SAMPLERS)
        if not 0 < self.vllm_memory < 1:
            raise TdGymError(f"vllm_memory must be between 0 and 1, it is {self.vllm_memory}.")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise TdGymError(f"max_new_tokens must be at least 1, it is {self.max_new_tokens}.")


_MAY_CHANGE = ("steps", "checkpoint_every", "vllm_memory")


def scenario_of(config: TrainConfig) -> Scenario:
    """Return the scenario that a run learns in."""
    return make_scenario(config.env, population=config.population or None, data_dir=config.data)


def budgets_of(config: TrainConfig, scenario: Scenario) -> dict[str, float]:
    """Return the limits a run keeps: those given, or the scenario's own.

    Raises ``TdGymError`` for a cost the scenario does not have and for a limit that is negative or no number.
    """
    if not config.budgets:
        return {name: spec.limit for name, spec in scenario.costs.items() if spec.limit is not None}
    for name, limit in config.budgets.items():
        if name not in scenario.costs:
            raise unknown("budget name", name, scenario.costs)
        if not 0 <= limit < math.inf:
            raise TdGymError(f"The budget of {name} must be a number of at least 0, it is {limit}.")
    return dict(config.budgets)


def versions_of(scenario: Scenario) -> dict[str, str]:
    """Return what weights trained on ``scenario`` carry: protocol, scenario and wording versions."""
    return {
        "protocol": PROTOCOL_VERSION,
        "scenario": scenario.name,
        "version": scenario.version,
        "wording": scenario.wording_version,
    }


def digest(model: nn.Module) -> str:
    """Return a fingerprint of a model's weights, so that a resumed run finds the same reference."""
    total = blake2b(digest_size=16)
    for name, values in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(values.detach().cpu().float().contiguous().numpy().data)
    return total.hexdigest()


def record(
    config: TrainConfig,
    method_config: Any,
    budgets: Mapping[str, float],
    versions: Mapping[str, str],
    start: TokenPolicy,
    processes: int,
    opponent: TokenPolicy | None = None,
) -> dict[str, Any]:
    """Return ``config.json``: every setting, the versions, the weights at the start and in the other seat.

    No path of a machine is in it.
    """
    settings = settings_of(config, "out", "resume")
    for name in ("model", "opponent"):
        if Path(settings[name]).is_absolute():
            settings[name] = Path(settings[name]).name
    return {
        "settings": {**settings, "budgets": dict(budgets), "nproc": processes},
        "method": _plain(method_config),
        "environment": dict(versions),
        "start": _weights(start),
        "opponent": {} if opponent is None else _weights(opponent),
        "software": software("transformers", *([VLLM] if config.sampler == VLLM else [])),
    }


def _weights(policy: TokenPolicy) -> dict[str, Any]:
    return {
        "parameters": sum(p.numel() for p in policy.model.parameters()),
        "digest": digest(policy.model),
        "versions": dict(policy.versions),
    }


def settings_of(config: Any, *left_out: str) -> dict[str, Any]:
    """Return the fields of ``config`` as plain JSON but those ``left_out``; of the folder ``data`` its name alone."""
    settings = {name: value for name, value in _plain(config).items() if name not in left_out}
    if config.data is not None:
        settings["data"] = config.data.name
    return settings


def check_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise ``TdGymError`` naming the first setting in which a resumed run differs from the one it resumes.

    The number of steps and of checkpoints may change; software versions are not compared.  A setting that the resumed
    run does not record, since there was none then, had its default.

    A run that was made longer ends with the same latest weights as one that had all its steps from the start.  Its
    ``model/`` is the same too where the updates that ``average`` takes in begin after those that were done.  Where
    they begin earlier, the mean as it stood stands for those that were done of them.
    """
    defaults = {each.name: each.default for each in dataclasses.fields(TrainConfig)}
    for section in ("environment", "settings", "method", "start", "opponent"):
        known = (defaults if section == "settings" else {}) | old.get(section, {})
        for name, value in new[section].items():
            before = known.get(name)
            if name not in _MAY_CHANGE and before != value:
                raise TdGymError(
                    f"This run was started with {name} {before!r}, not {value!r}; "
                    "resume it with the same settings or take another --out."
                )


def check_steps(steps: int, done: int) -> None:
    """Raise ``TdGymError`` where a resumed run has ``done`` more updates than it is to have ``steps``."""
    if steps < done:
        raise TdGymError(f"This run has done {done} updates; resume it with at least as many steps, not {steps}.")


def _plain(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON would read it back: tuples as lists, mappings as dicts."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {name: plain(item) for name, item in value.items()}
        if isinstance(value, tuple | list):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    found: dict[str, Any] = plain(config)
    return found


def software(*more: str) -> dict[str, str | None]:
    """Return the versions of td-gym, torch, NumPy and the distributions ``more``, ``None`` for one not installed."""
    return {name: _installed(name) for name in ("td-gym", "torch", *more, "numpy")}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
