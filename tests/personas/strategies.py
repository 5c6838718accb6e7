"""Hypothesis strategies for personas."""

from __future__ import annotations

from hypothesis import strategies as st

from personas import DEMANDS, HONESTY, TRAITS, Identity, Persona

words = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
identities = st.builds(
    Identity,
    name=words,
    city=words,
    phone_tail=st.integers(0, 9999).map("{:04d}".format),
    locale=st.sampled_from(["en_US", "ja_JP"]),
)
personas = st.builds(
    Persona,
    cooperativeness=st.integers(1, 5),
    **{trait: st.sampled_from(values) for trait, values in TRAITS.items()},
    demand=st.sampled_from(DEMANDS),
    honesty=st.sampled_from(HONESTY),
    patience=st.integers(3, 10),
    identity=identities,
    facts=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=4),
)
