"""Errors a user can act on: one line that says what is wrong and what to do; checks of plain values."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

_EXTRAS = {
    "torch": "train",
    "transformers": "train",
    "peft": "train",
    "safetensors": "train",
    "tokenizers": "train",
    "tensorboard": "train",
    "rich": "train",
    "matplotlib": "evals",
    "rapidfuzz": "evals",
    "sacrebleu": "evals",
    "sacremoses": "evals",
    "pyarrow": "data",
    "openai": "llm",
    "stable_baselines3": "sb3",
    "sb3_contrib": "sb3",
    "trl": "trl",
    "vllm": "vllm",
    "datasets": "trl",
    "verifiers": "verifiers",
    "httpx": "verifiers",
    "openenv": "openenv",
}
"""By third-party module the extra that brings it."""


class TdGymError(Exception):
    """Bad input or an environment fault; its message is one complete sentence for the user."""


def unknown(kind: str, name: object, known: Iterable[str]) -> TdGymError:
    """Build the error for a ``name`` that is not among ``known``, with the nearest match first."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TdGymError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")


def as_flag(name: str, value: object) -> bool:
    """Return ``value``; ``TdGymError`` naming the argument when it is not a truth value."""
    if not isinstance(value, bool):
        raise TdGymError(f"{name} must be True or False, not {value!r}.")
    return value


def as_index(value: Any) -> int | None:
    """Return ``value`` as an integer, of Python or of NumPy; ``None`` for anything else, a truth value among it."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def as_count(name: str, value: Any) -> int:
    """Return ``value`` as an integer; ``TdGymError`` naming the argument when it is not one of at least 1."""
    number = as_index(value)
    if number is None or number < 1:
        raise TdGymError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return number


def as_positive(name: str, value: Any) -> float:
    """Return ``value``; ``TdGymError`` naming the argument when it is not a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TdGymError(f"{name} must be a finite number above 0, not {value!r}.")
    return value


def as_seed(seed: Any) -> int:
    """Return ``seed`` as an integer; ``TdGymError`` when it is not a non-negative one, of Python or of NumPy."""
    number = as_index(seed)
    if number is None or number < 0:
        raise TdGymError(f"A seed must be a non-negative whole number, not {seed!r}.")
    return number


def missing_extra(module: str) -> TdGymError:
    """Build the error for a third-party ``module`` that is not installed; it names the extra to install."""
    extra = _EXTRAS.get(module.partition(".")[0])
    if extra is None:
        return TdGymError(f"The Python module {module!r} is not installed; install it and try again.")
    return TdGymError(f'This needs {module!r}, which is not installed: run pip install "td-gym[{extra}]".')


def require_installed(*modules: str) -> None:
    """Raise ``missing_extra`` for the first of ``modules`` that is not installed; none of them is imported."""
    for module in modules:
        if sys.modules.get(module) is None and find_spec(module) is None:
            raise missing_extra(module)


@contextmanager
def installed_extras() -> Iterator[None]:
    """Turn the lack of a third-party module into ``missing_extra``."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "") from error
