"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): a few trained weights beside a model that stays as it is.

Every linear layer but the head gets one.  With them a model of billions of parameters trains on one GPU, and its
reference costs no second copy: it is the same model with the adapter of then (``agents.reference``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agents.names import ADAPTER
from td_gym.errors import TdGymError
from td_gym.json_data import as_object, read_json, text_of

_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
"""What PEFT puts before the names of weights in its files."""
_SCALE = 2
"""What an adapter adds is multiplied by this (``lora_alpha`` is this many times the rank)."""


def adapted(model: Any, rank: int, seed: int) -> Any:
    """Return ``model``, its weights frozen, with an adapter of ``rank`` that changes nothing yet, drawn from ``seed``.

    It is put into ``model`` itself.  Where that has an adapter already, which has to be of this rank, it is trained on.
    """
    if is_adapted(model):
        return model
    config = LoraConfig(r=rank, lora_alpha=_SCALE * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _inject(model, config)


def _inject(model: Any, config: LoraConfig) -> Any:
    """Put an adapter into ``model``, in float32 whatever it is beside, the only weights that are trained."""
    found = inject_adapter_in_model(config, model).eval()
    for weights in found.parameters():
        if weights.requires_grad:
            weights.data = weights.data.float()
    return found


def size(model: nn.Module, rank: int) -> int:
    """Return about how many bytes an adapter of ``rank`` for ``model`` has."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return sum(4 * rank * (layer.in_features + layer.out_features) for layer in layers)


def is_adapted(model: Any) -> bool:
    """Say whether ``model`` has an adapter."""
    return hasattr(model, "peft_config")


def rank_of(model: Any) -> int:
    """Return the rank of the adapter that ``model`` has."""
    rank: int = _config(model).r
    return rank


def save(model: Any, folder: Path, base: str) -> None:
    """Write the adapter of ``model`` into ``folder``, as PEFT does; ``base`` names the model that it belongs to."""
    config = _config(model)
    config.base_model_name_or_path = base
    config.save_pretrained(folder)
    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    plain = {f"{_PREFIX}{name}": values.detach().cpu().contiguous() for name, values in weights.items()}
    save_file(plain, folder / _WEIGHTS)


def merged(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights of ``model`` by the names that they have without an adapter, with what one adds to them."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    for name, values in model.state_dict().items():
        layer, base, kind = name.partition(".base_layer.")
        if base and kind == "weight":
            with torch.no_grad():
                values = values + layers[layer].get_delta_weight("default").to(values.dtype)
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), values


def base_of(folder: Path) -> str:
    """Return the name of the model that the adapter in ``folder`` belongs to."""
    where = repr(str(folder / ADAPTER))
    return text_of(as_object(read_json(folder / ADAPTER), where), "base_model_name_or_path", where)


def attach(model: Any, folder: Path) -> Any:
    """Return ``model`` with the adapter in ``folder``; ``TdGymError`` for one that is broken, or of another model."""
    try:
        config = LoraConfig.from_pretrained(folder)
        config.inference_mode = False  # which PEFT writes, and which would train nothing
        found = _inject(model, config)
        load(found, folder)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TdGymError(f"Cannot load the adapter in {str(folder)!r}: {reason}") from error
    return found


def load(model: Any, folder: Path) -> None:
    """Let the adapter of ``model`` be the one in ``folder``, whose names may lack PEFT's prefix."""
    weights = {name.removeprefix(_PREFIX): values for name, values in load_file(folder / _WEIGHTS).items()}
    expected = get_peft_model_state_dict(model, save_embedding_layers=False)
    if weights.keys() != expected.keys():
        raise ValueError("its weights are not those of a plain LoRA adapter of this model")
    set_peft_model_state_dict(model, weights)


def _config(model: Any) -> LoraConfig:
    return model.peft_config["default"]
