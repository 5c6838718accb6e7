"""The wordings of a scenario's customer: ten an act, of which every split shares eight and owns at most one."""

from __future__ import annotations

from collections import Counter

import pytest

from personas.splits import SPLITS
from td_gym.errors import TdGymError
from td_gym.scenarios import food_dispute, multiwoz, sales, wording


@pytest.mark.parametrize("scenario", [food_dispute, sales, multiwoz])
def test_held_out_wordings_belong_to_one_split(scenario) -> None:
    book = wording.Phrasebook(scenario.__name__)
    for section, table in book.acts.items():
        for act in table:
            seen = Counter(words for split in SPLITS for words in book.variants(section, act, split))
            assert sorted(Counter(seen.values()).items()) == [(1, 2), (3, 8)], (section, act)


def test_an_act_without_ten_wordings_is_named(monkeypatch) -> None:
    monkeypatch.setattr(wording, "packaged_toml", lambda package, name: {"problem": {"cold": ["It is cold."]}})
    with pytest.raises(TdGymError, match=r"^customer\.toml: problem\.cold has 1 variants; write exactly 10\.$"):
        wording.Phrasebook("anywhere")
