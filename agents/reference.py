"""A model as it was: weights of then stand in for those of now while it is asked, so that it costs no second model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def holding(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> Iterator[None]:
    """Let ``parameters`` hold ``values``, of the same shapes, for as long as the block runs; nothing is copied."""
    now = [p.data for p in parameters]
    for p, value in zip(parameters, values, strict=True):
        p.data = value
    try:
        yield
    finally:
        for p, value in zip(parameters, now, strict=True):
            p.data = value


class Frozen:
    """A model with the trained weights that it has now, whatever becomes of them later; it is called as the model is.

    Of a model with an adapter those are few, and the rest is shared.  It is asked without gradients.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.weights = [p.detach().clone() for p in self._trained]

    def __call__(self, **given: Any) -> Any:
        """Return what the model of then makes of ``given``."""
        with holding(self._trained, self.weights):
            return self._model(**given)

    @property
    def config(self) -> Any:
        """How the model is built."""
        return self._model.config

    def get_output_embeddings(self) -> nn.Module:
        """Return the model's head."""
        head: nn.Module = self._model.get_output_embeddings()
        return head

    def parameters(self) -> Iterator[Tensor]:
        """Yield the model's parameters, for their type and place; the values are those of now."""
        yield from self._model.parameters()
