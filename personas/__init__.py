"""Simulated customers: personas, named populations of them, and loaders of published persona data.

Importing this package imports neither Faker nor pyarrow; both are imported on first use.
"""

from __future__ import annotations

from personas.checks import PersonaError
from personas.fds import FdsError, FdsRow, load_rows
from personas.identities import Identity
from personas.persona import DEMANDS, HONESTY, TRAITS, Persona
from personas.population import Population
from personas.splits import SPLITS, split_of_cell, split_of_order

__all__ = [
    "DEMANDS",
    "HONESTY",
    "SPLITS",
    "TRAITS",
    "FdsError",
    "FdsRow",
    "Identity",
    "Persona",
    "PersonaError",
    "Population",
    "load_rows",
    "split_of_cell",
    "split_of_order",
]
