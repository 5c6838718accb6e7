"""One persona and one prospect."""

from __future__ import annotations

from personas import Identity, Persona
from personas.prospect import Prospect

ANNA = Identity("Anna Berg", "Lund", "0417", "sv_SE")
FACTS = {"household": "lives alone", "account_age": "a year"}
PERSONA = Persona(
    cooperativeness=2,
    communication_style="terse",
    information_disclosure="reserved",
    problem_solving="demanding",
    emotional_style="upset",
    demand="refund_priority",
    honesty="exaggerating",
    patience=6,
    identity=ANNA,
    facts=FACTS,
)
PROSPECT = Prospect(
    interest=1,
    trust=2,
    budget=200,
    objection="price",
    do_not_call="relaxed",
    communication_style="terse",
    curiosity=0,
    patience=6,
    identity=ANNA,
    facts=FACTS,
)
