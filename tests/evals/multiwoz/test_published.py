from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from evals.multiwoz.files import Benchmark, read_predictions
from evals.multiwoz.score import score

MODES = {"shipped": "as_shipped", "state": "state_estimated_domains", "slots": "slot_name_domains"}


@pytest.fixture(scope="session")
def multiwoz(shared_data: Path) -> Path:
    """Return the folder of the published MultiWOZ data."""
    folder = shared_data / "multiwoz"
    if not folder.is_dir():
        pytest.skip(f"no MultiWOZ data at {folder}")
    return folder


@pytest.fixture(scope="session")
def benchmark(multiwoz: Path) -> Benchmark:
    return Benchmark(multiwoz)


@pytest.fixture(scope="session")
def published(multiwoz: Path) -> dict[str, Any]:
    """Return what the published evaluator gives for three systems, against references derived from MultiWOZ 2.1."""
    systems: dict[str, Any] = json.loads((multiwoz / "reference_scores_dev.json").read_text(encoding="utf-8"))[
        "systems"
    ]
    return systems


@pytest.fixture(scope="session")
def systems(multiwoz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multiwoz")
    with tarfile.open(multiwoz / "predictions_dev.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "predictions_dev"


@pytest.mark.parametrize("domains", MODES)
@pytest.mark.parametrize("system", ["augpt", "mintl", "hdno"])
def test_published_systems_get_their_published_scores(
    system: str, domains: str, benchmark: Benchmark, published: dict[str, Any], systems: Path
) -> None:
    expected = published[system]
    rates = expected[MODES[domains]]
    if rates == "same as as_shipped":
        rates = expected["as_shipped"]
    scores = score(read_predictions(systems / f"{system}.json"), benchmark, domains)
    assert (scores.inform, scores.success) == (rates["inform_total"], rates["success_total"])
    if rates is expected["as_shipped"]:
        assert {name: [*pair] for name, pair in scores.dialogues.items()} == expected["per_dialogue"]
    assert scores.bleu == pytest.approx(expected["bleu_vs_mwz21_refs"], abs=0.01)
    rich = expected["richness"]
    assert (scores.unique_unigrams, scores.unique_trigrams) == (rich["num_unigrams"], rich["num_trigrams"])
    assert scores.cbe == pytest.approx(rich["cond_entropy"], abs=1e-12)
