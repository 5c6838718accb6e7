"""The page on procedures: counted rightly, and what is committed is what is drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from evals.procedures import Walks, diagram, page, table, walk
from td_gym.registration import make_scenario

PAGE = Path(__file__).parents[2] / "docs" / "procedures.md"


def test_shares_are_of_a_strategys_uses_and_rare_ones_left_out() -> None:
    walks = Walks(used=Counter(a=50), opened=Counter({("a", "b"): 50, ("a", "c"): 10, ("a", "d"): 2, ("b", "c"): 9}))
    assert walks.shares(walks.opened, "a") == [("b", 1.0), ("c", 0.2)]


def test_a_strategy_that_may_be_used_once_closes_itself() -> None:
    scenario = make_scenario("FoodDispute")
    walks = walk(scenario, 30)
    went_on = walks.used["offer_voucher"] - walks.ended["offer_voucher"]
    assert walks.closed["offer_voucher", "offer_voucher"] == went_on > 0
    assert walks.ended["close"] == walks.used["close"] > 0
    assert walks.admitted[scenario.fallback_strategy] == walks.choices
    assert walks.admitted["chat"] == 0
    assert "    start --> open" in list(diagram(scenario, walks))
    assert len(list(table(scenario, walks))) == len(scenario.strategies) + 2


def test_the_page_is_what_is_drawn() -> None:
    assert PAGE.read_text(encoding="utf-8") == "\n".join(page()) + "\n"
