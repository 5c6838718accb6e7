"""Keyed random draws, defined in :mod:`personas.draws` so that customers and conversations draw alike."""

from __future__ import annotations

from personas.draws import choice, integer, mix, uniform, weighted

__all__ = ["choice", "integer", "mix", "uniform", "weighted"]
