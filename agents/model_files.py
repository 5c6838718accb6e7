"""Models on this machine: where those lie that a name stands for, and how they are loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from agents import lora
from agents.names import ADAPTER, SHIPPED, TINY
from td_gym.errors import TdGymError
from td_gym.scenario import Scenario

DTYPES = ("float32", "bfloat16", "float16")
"""What weights may be held in that are not trained."""


def shipped_weights(scenario_name: str, model: str = TINY) -> Path:
    """Return the folder of ``model``, one of ``SHIPPED``, for a scenario, whether or not it exists."""
    return Path(str(resources.files("agents"))) / "weights" / (scenario_name + model.removeprefix(TINY))


def _is_model(path: Path) -> bool:
    """Say whether ``path`` is a directory of a Hugging Face model, or of an adapter."""
    described = (path / "config.json").is_file() or (path / ADAPTER).is_file()
    return described and (path / "tokenizer_config.json").is_file()


def locate(path: str | Path, scenario: Scenario | None) -> Path:
    """Return the local directory that holds the model ``path`` names."""
    if str(path) in SHIPPED:
        if scenario is None:
            raise TdGymError(f"The model {str(path)!r} is shipped per scenario; name an environment too.")
        folder = shipped_weights(scenario.name, str(path))
        if not _is_model(folder):
            raise TdGymError(
                f"No {path} weights are shipped for {scenario.name}; train some with `python -m agents.tiny`."
            )
        return folder
    folder = Path(path)
    if _is_model(folder / "model"):
        return folder / "model"
    if _is_model(folder):
        return folder
    if folder.exists():
        raise TdGymError(f"{str(path)!r} holds no Hugging Face model (no config.json beside tokenizer_config.json).")
    # Resolved here, since ``from_pretrained`` asks the hub for adapters even with local_files_only.
    try:
        return Path(snapshot_download(str(path), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise TdGymError(
            f"There is no model {str(path)!r}: no such directory here, and no such model in the local Hugging Face "
            "cache; a hub model must be downloaded first, with `hf download ID`."
        ) from error


def lasting(name: str | Path) -> str:
    """Return a model's name as it can be found again from another working directory."""
    return str(Path(name).resolve()) if Path(name).is_dir() else str(name)


def load_model(source: Path, described: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Return the model in ``source`` with its tokenizer, and with the adapter in ``described`` if that is another.

    Raises ``TdGymError`` where a file is broken, or weights are missing or no numbers.
    """
    fault = f"Cannot load a causal language model from {str(source)!r}"
    with no_progress_bars():
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                source, dtype=dtype, use_safetensors=True, output_loading_info=True
            )
            tokenizer = _load_tokenizer(described)
        except Exception as error:  # the libraries that read these files fail each in its own way
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise TdGymError(f"{fault}: {reason}") from error
    if found["missing_keys"]:
        raise TdGymError(f"{fault}: its files lack the weights {min(found['missing_keys'])!r}.")
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise TdGymError(f"{fault}: its weights {name!r} are not all numbers.")
    return (model if source == described else lora.attach(model, described)), tokenizer


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Keep transformers from showing how far it is with a file."""
    enabled = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            transformers.utils.logging.enable_progress_bar()


def _load_tokenizer(source: Path) -> Any:
    """Load a tokenizer as its file says; ``AutoTokenizer`` rebuilds some that declare no class."""
    config = source / "tokenizer_config.json"
    declared = json.loads(config.read_text()).get("tokenizer_class") if config.is_file() else None
    if declared in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        return PreTrainedTokenizerFast.from_pretrained(source)
    return AutoTokenizer.from_pretrained(source)
