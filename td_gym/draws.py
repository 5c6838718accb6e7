"""Keyed random draws, defined in :mod:`personas.draws` so that customers and conversations draw alike."""

from __future__ import annotations

from personas.draws import Stream, choice, integer, mix, uniform, weighted

__all__ = ["Stream", "choice", "integer", "mix", "uniform", "weighted"]
