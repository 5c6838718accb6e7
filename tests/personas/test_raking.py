from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.draws import Stream
from personas.raking import Axis, Table, rake

Cell = tuple[int, ...]


def margin(cells: list[Cell], weights: np.ndarray, place: int) -> dict[int, float]:
    """Return the share of each value that ``cells`` have at ``place``."""
    values = {cell[place] for cell in cells}
    return {v: sum(w for cell, w in zip(cells, weights, strict=True) if cell[place] == v) for v in sorted(values)}


@st.composite
def cell_lists(draw: st.DrawFn) -> list[Cell]:
    """Some of the cells of a table with two to four axes of one to three values."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    cells = list(product(*map(range, sizes)))
    return draw(st.lists(st.sampled_from(cells), min_size=1, max_size=len(cells), unique=True))


def normalised(figures: list[float]) -> np.ndarray:
    return np.array(figures) / sum(figures)


@given(st.data())
def test_margins_that_the_cells_allow_are_met(data: st.DataObject) -> None:
    cells = data.draw(cell_lists())
    size = len(cells)
    target = normalised(data.draw(st.lists(st.floats(0.2, 1.0), min_size=size, max_size=size)))
    wanted = [margin(cells, target, place) for place in range(len(cells[0]))]
    raked = rake([Axis([cell[place] for cell in cells], shares) for place, shares in enumerate(wanted)], 1000)
    for place, shares in enumerate(wanted):
        assert margin(cells, raked, place) == pytest.approx(shares, abs=1e-6)


@given(st.data())
def test_the_last_margin_is_met_whatever_the_others_are(data: st.DataObject) -> None:
    cells = data.draw(cell_lists())
    axes = []
    for place in range(len(cells[0])):
        values = sorted({cell[place] for cell in cells})
        shares = normalised(data.draw(st.lists(st.floats(0.1, 1.0), min_size=len(values), max_size=len(values))))
        axes.append(Axis([cell[place] for cell in cells], dict(zip(values, shares, strict=True))))
    raked = rake(axes, 3)
    assert (raked > 0).all()
    assert margin(cells, raked, len(axes) - 1) == pytest.approx(axes[-1].shares, abs=1e-12)


def test_a_full_table_is_independent() -> None:
    shares = [{"a": 0.2, "b": 0.8}, {"x": 0.1, "y": 0.3, "z": 0.6}]
    cells = list(product(*shares))
    raked = rake([Axis([cell[place] for cell in cells], axis) for place, axis in enumerate(shares)], 5)
    assert raked == pytest.approx([shares[0][one] * shares[1][other] for one, other in cells])


def test_a_table_draws_its_entries_with_their_probabilities() -> None:
    probabilities = {"a": 0.1, "b": 0.2, "c": 0.7}
    table = Table.build(list(probabilities), np.array(list(probabilities.values())))
    draws, n = Stream(0, "table"), 20_000
    counts = Counter(table.draw(draws) for _ in range(n))
    assert {entry: count / n for entry, count in counts.items()} == pytest.approx(probabilities, abs=0.018)


def test_the_end_of_a_table_lies_beyond_every_draw() -> None:
    table = Table.build(range(10), np.full(10, 0.1 - 1e-12))
    assert table.cumulative[-1] == 1.0
    assert table.cumulative[:-1] == pytest.approx([0.1 * k for k in range(1, 10)])
