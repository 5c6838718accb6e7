"""How the service side reads a customer's message: dialogue acts by the patterns of ``customer_acts.toml``.

The lexicon is that of ``acts.toml``, so that both seats' words are read alike.
"""

from __future__ import annotations

from functools import cache

from personas.packaged import packaged_toml
from personas.prospect import OBJECTIONS
from td_gym.reading.grammar import Reader, build_reader, file_of

OBJECTS = tuple(f"object_{name}" for name in OBJECTIONS)
"""Acts that raise an objection."""
CUSTOMER_ACTS = (
    "who_is_this",
    "ask_question",
    *OBJECTS,
    "refuse",
    "ask_robot",
    "notice_robot",
    "interested",
    "accept_order",
    "insult",
    "thank",
    "leave",
)


def detect_customer_acts(text: str) -> frozenset[str]:
    """Return the acts of a customer's message, a subset of ``CUSTOMER_ACTS``.

    ``ask_question`` asks about the offer; an objection says why not, or not yet; ``refuse`` is a clear no to the offer
    or to the call; ``interested`` wants to hear more; ``accept_order`` says yes to the order itself;
    ``ask_robot`` asks whether one talks to a machine, ``notice_robot`` says that one does. Any text is accepted; only
    its first 1,000 characters are read.
    """
    return customer_reader().read(text[:1000])


@cache
def customer_reader() -> Reader:
    """Return the reader compiled from the package's ``customer_acts.toml`` and the lexicon of ``acts.toml``."""
    shared, own = (packaged_toml(__package__, name) for name in ("acts.toml", "customer_acts.toml"))
    data = {**shared, "classes": shared["classes"] | own["classes"], "customer": own["customer"]}
    lexicon, file = (file_of(__package__, name) for name in ("acts.toml", "customer_acts.toml"))
    return build_reader(data, CUSTOMER_ACTS, file, "customer", shared=lexicon)
