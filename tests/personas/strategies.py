"""Hypothesis strategies for personas and prospects."""

from __future__ import annotations

from hypothesis import strategies as st

from personas import Identity, Persona
from personas.prospect import Prospect

words = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
identities = st.builds(
    Identity,
    name=words,
    city=words,
    phone_tail=st.integers(0, 9999).map("{:04d}".format),
    locale=st.sampled_from(["en_US", "ja_JP"]),
)


def _built(kind: type, **fields: st.SearchStrategy) -> st.SearchStrategy:
    """Customers of ``kind`` with any allowed value in every field; ``fields`` are those that are kind's own."""
    return st.builds(
        kind,
        **{field: st.sampled_from(values) for field, values in {**kind.ranges, **kind.choices}.items()},
        **fields,
        identity=identities,
        facts=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=4),
    )


personas = _built(Persona)
prospects = _built(Prospect, budget=st.floats(0.01, 1e6))
