"""Agents: scripted ones, language models, and how the latter are trained.

Importing this package needs no torch; see ``make`` for what an agent can be.
"""

from agents.agent import Agent, make

__all__ = ["Agent", "make"]
