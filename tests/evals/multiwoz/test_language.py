from __future__ import annotations

import pytest

from evals.multiwoz.language import bleu, richness, words


def test_words_have_no_punctuation_and_keep_what_stood_alone() -> None:
    assert words("NAME, it's at 10:15!") == ["name", "its", "at", "1015"]
    assert words("thank you !") == ["thank", "you", ""]


def test_richness_by_hand() -> None:
    # Words a b a c, a b. Pairs: ab twice, ba and ac once. Six words; a thrice, b twice.
    # -(2/6 log2(2/3) + 1/6 log2(1/2) + 1/6 log2(1/3)) = 0.194988 + 0.166667 + 0.264160
    rich = richness(["a b a c", "a b."])
    assert (rich.unique_unigrams, rich.unique_trigrams) == (3, 2)
    assert rich.cbe == pytest.approx(0.625815, abs=1e-6)


def test_a_text_that_never_branches_has_no_entropy() -> None:
    assert richness(["hello", ""]).cbe == 0
    assert richness(["hello", ""]).unique_unigrams == 2


def test_bleu_by_hand() -> None:
    # "the cat sat on it": 4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 fours, same length.
    assert bleu(["the cat sat on it"], ["the cat sat on mats"]) == pytest.approx(
        100 * (4 / 5 * 3 / 4 * 2 / 3 / 2) ** 0.25
    )
    # sacrebleu's default takes punctuation for words of its own.
    assert bleu(["the cat sat on it."], ["the cat sat on it ."]) == pytest.approx(100)
    # Shorter by one of five words: brevity penalty exp(1 - 5/4).
    assert bleu(["the cat sat on"], ["the cat sat on it"]) == pytest.approx(77.880078)
