"""Summing up a study: one results file per customer, a table and plots.

Arms: mean and t-interval over training seeds (df = seeds - 1), differences paired per seed on the
same evaluation dialogues.  Agents evaluated once: bootstrap over dialogues.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from evals import leaderboard, plots, tables
from evals.escaping import escape_markdown
from evals.files import file_name, write_json, write_text
from evals.metrics import columns_of, headline_of, metrics_of, spending_of
from evals.provenance import public_path
from evals.scores import customers_of, entry
from evals.statistics import mean_t, paired_t, step_spread
from evals.study_file import ROOT, Run, Study, finished, runs, versions_of
from evals.study_run import setting_of
from td_gym.errors import TdGymError
from td_gym.registration import without_module

NOTE = (
    "Intervals: 95 %. Arms: t-interval over training seeds, or sampling seeds where nothing is trained (n = seeds, "
    "df = n - 1), all with the same customers. Agents evaluated once: bootstrap over dialogues (n = dialogues)."
)
NOTE_ONE_SEED = "Arms of one seed: bootstrap over its dialogues (n = dialogues)."
DIFFERENCES = "Differences, paired per seed; in brackets relative to the second arm's mean:"
UNSTABLE = {"reasoning": "accuracy of reasoning", "quality": "mean reward of a reply"}
"""Curves whose instability is stated, where they are recorded."""
INSTABILITY = "Instability: standard deviation of the step from one update of training to the next:"
Result = Mapping[str, Any]
Curves = Mapping[str, Sequence[Sequence[Mapping[str, float]]]]
"""An arm's seeds, each one mapping per update."""


def summarise(study: Study, root: Path = ROOT) -> list[Path]:
    """Sum up what has been run and return the files written.

    Raises ``TdGymError`` when nothing has been, or where :func:`evals.study_file.finished` does.
    """
    done = finished(study, root)
    if not done:
        raise TdGymError(f"No run of study {study.name!r} is done; run python -m evals.study {study.path} first.")
    folder = root / study.name
    written: dict[Path, Result] = {}
    for customer in study.evaluation.customers:
        results = collect(study, done, customer)
        path = folder / "results.json"
        if written:
            short = customer.removeprefix("scripted_")
            name = file_name(short, lambda name: folder / f"results_{name}.json" in written)
            path = folder / f"results_{name}.json"
        write_json(path, results)
        written[path] = results
    tables_ = [_section(results, study.columns) for results in written.values()]
    curves = _curves_of(done)
    if len(unstable := instability(curves)) > 1:
        tables_ += [f"## Training\n\n{INSTABILITY}\n\n{tables.markdown(unstable)}"]
    write_text(folder / "table.md", "\n\n".join([_head(study, done), *tables_]) + "\n")
    return [*written, folder / "table.md", *_pictures(study, curves, written, folder)]


def collect(study: Study, done: Sequence[tuple[Run, Result]], customer: str) -> dict[str, Any]:
    """Return the results of ``customer`` in the layout of ``results.json``."""
    by_arm: dict[str, dict[int, Result]] = {}
    fixed: dict[str, Result] = {}
    for run, result in done:
        measured = result["evaluation"][customer]
        if run.fixed:
            fixed[run.arm.name] = measured
        else:
            by_arm.setdefault(run.arm.name, {})[run.seed] = measured
    setting = setting_of(study, customer)
    agents = {name: _over_seeds(seeds) for name, seeds in by_arm.items()}
    agents |= {name: {**measured, "interval": "bootstrap over dialogues"} for name, measured in fixed.items()}
    return {
        "study": study.name,
        "env": without_module(study.env),
        "split": study.evaluation.split,
        "customer": customer,
        "agents": agents,
        "paired": paired(by_arm),
        "provenance": {
            "command": f"python -m evals.study {public_path(study.path)}",
            "tuning_budget": study.tuning_budget,
            "episodes": study.evaluation.episodes,
            "seed": study.evaluation.seed,
            "temperature": study.evaluation.temperature,
            **customers_of(setting, setting.scenario()),
            **versions_of(done[0][1]),
            "runs": {run.name: _origin(result) for run, result in done},
        },
    }


def paired(by_arm: Mapping[str, Mapping[int, Result]]) -> dict[str, dict[str, Any]]:
    """Return the difference of every two arms, paired on the seeds both have, in both directions."""
    found: dict[str, dict[str, Any]] = {}
    for first, second in combinations(by_arm, 2):
        seeds = sorted(by_arm[first].keys() & by_arm[second].keys())
        if len(seeds) < 2:
            continue
        one, other = ([by_arm[arm][seed]["metrics"] for seed in seeds] for arm in (first, second))
        shared = [metric for metric in one[0] if all(metric in each for each in (*one, *other))]
        for a, b, left, right in ((first, second, one, other), (second, first, other, one)):
            found[f"{a}-{b}"] = {
                metric: _compared([e[metric]["mean"] for e in left], [e[metric]["mean"] for e in right])
                for metric in shared
            }
    return found


def _compared(left: Sequence[float], right: Sequence[float]) -> dict[str, Any]:
    """Return the paired difference, and ``relative``: as a share of the mean on the right without its sign.

    ``None`` where that mean is 0.
    """
    difference, base = entry(paired_t(left, right)), fmean(right)
    return {**difference, "relative": difference["mean"] / abs(base) if base else None}


def _over_seeds(seeds: Mapping[int, Result]) -> dict[str, Any]:
    if len(seeds) == 1:
        return {**next(iter(seeds.values())), "interval": "one seed: bootstrap over dialogues"}
    measured = [seeds[seed]["metrics"] for seed in sorted(seeds)]
    shared = [metric for metric in measured[0] if all(metric in each for each in measured)]
    return {
        "metrics": {metric: entry(mean_t([each[metric]["mean"] for each in measured])) for metric in shared},
        "seeds": {metric: [each[metric]["mean"] for each in measured] for metric in shared},
        "interval": f"t over {len(seeds)} seeds",
    }


def _origin(result: Result) -> dict[str, Any]:
    known = result["provenance"]
    return {key: known[key] for key in ("commit", "machine", "device") if key in known}


def _head(study: Study, done: Sequence[tuple[Run, Result]]) -> str:
    seeds = Counter(run.arm.name for run, _ in done if not run.fixed)
    lines = [
        f"# {study.title}",
        f"{len(done)} of {len(runs(study))} runs; seeds {', '.join(map(str, study.seeds))}; "
        f"{study.evaluation.episodes} dialogues of split {study.evaluation.split} per run, "
        f"sampling temperature {study.evaluation.temperature:g}. Tuning budget: {study.tuning_budget}.",
        f"{NOTE} {NOTE_ONE_SEED}" if 1 in seeds.values() else NOTE,
        tables.note_trained_on([study.env]),
        f"Command: `python -m evals.study {public_path(study.path)}`",
    ]
    return "\n\n".join(lines)


def _section(results: Result, columns: Collection[str]) -> str:
    spent = spending_of(results["env"])
    shown = [spec.name for spec in columns_of(results["env"], columns)]
    parts = [f"## Customer {escape_markdown(results['customer'])}", tables.markdown(tables.rows(results, shown))]
    split = sorted({m for a in results["agents"].values() for m in a["metrics"] if m.startswith(f"{spent.name}/")})
    if split:
        parts += [f"{spent.label.capitalize()} by {spent.by}:", tables.markdown(tables.rows(results, split))]
    if results["paired"]:
        parts += [DIFFERENCES, tables.markdown(_differences(results, columns))]
    return "\n\n".join(parts)


def _differences(results: Result, columns: Collection[str]) -> list[list[str]]:
    """Return the differences of arms in the metrics that arms are compared by, or that ``columns`` names."""
    # Every difference stands in both directions, one after the other; the first shows all there is to see.
    forward = list(results["paired"].items())[::2]
    compared = [spec.name for spec in metrics_of(results["env"]) if spec.compared or spec.name in columns]
    chosen = [metric for metric in compared if any(metric in each for _, each in forward)]
    body = [[pair, *(_difference(each.get(metric)) for metric in chosen)] for pair, each in forward]
    return [["difference", *chosen], *body]


def _difference(metric: Mapping[str, Any] | None) -> str:
    relative = None if metric is None else metric["relative"]
    return tables.cell(metric) + ("" if relative is None else f" ({100 * relative:+.0f} %)")


def _curves_of(done: Sequence[tuple[Run, Result]]) -> Curves:
    curves: dict[str, list[list[dict[str, float]]]] = {}
    for run, result in done:
        if result.get("training"):
            curves.setdefault(run.arm.name, []).append(result["training"])
    return curves


def instability(curves: Curves) -> list[list[str]]:
    """Return a heading and one row per arm that records ``UNSTABLE`` curves, each with their ``step_spread``."""
    table = [["arm", "n", *UNSTABLE.values()]]
    for arm, seeds in curves.items():
        spreads = [[step_spread([update.get(key, math.nan) for update in seed]) for seed in seeds] for key in UNSTABLE]
        known = [[spread for spread in each if not math.isnan(spread)] for each in spreads]
        if any(known):
            table.append([arm, str(max(map(len, known))), *(_spread(each) for each in known)])
    return table


def _spread(seeds: Sequence[float]) -> str:
    if len(seeds) == 1:
        return f"{seeds[0]:.3f}"
    if not seeds:
        return tables.cell(None)
    mean, low, high, _ = mean_t(seeds)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _pictures(study: Study, curves: Curves, results: Mapping[Path, Result], folder: Path) -> list[Path]:
    try:
        return [*_draw_curves(study, curves, folder / "curves.png"), *_planes(study, results)]
    except TdGymError as error:
        print(f"no figures: {error}")
        return []


def _draw_curves(study: Study, curves: Curves, path: Path) -> list[Path]:
    if not curves:
        return []
    earned, spent = headline_of(study.env), spending_of(study.env)
    panels = [
        plots.Panel("reward", f"{earned.label}\n(training, {earned.low:g} to {earned.high:g})"),
        plots.Panel(f"costs/{spent.budget}", f"{spent.label}\n({spent.unit})", _limit(study)),
        plots.Panel(f"lambda/{spent.budget}", "multiplier lambda"),
        plots.Panel("turn_score", "turn score\n(mean of its terms, 0 to 1)"),
        *(plots.Panel(key, f"{label}\n(0 to 1)") for key, label in UNSTABLE.items()),
        plots.Panel("turns", "turns a dialogue"),
    ]
    updates = [update for seeds in curves.values() for seed in seeds for update in seed]
    shown = [panel for panel in panels if any(update.get(panel.key) for update in updates)]  # never but 0: no news
    plots.training_curves(curves, shown, path, title=f"{study.title}: mean and range over seeds")
    return [path]


def _planes(study: Study, results: Mapping[Path, Result]) -> list[Path]:
    written = []
    for path, each in results.items():
        picture = path.with_name(f"{path.stem.replace('results', 'pareto', 1)}.png")
        title = f"{study.title}, customer {each['customer']}"
        written += leaderboard.draw_plane(study.env, each["agents"], picture, title=title, target=_limit(study))
    return written


def _limit(study: Study) -> float | None:
    """Return the budget of the study's arms, ``None`` when they have several or none."""
    cost = spending_of(study.env).budget
    limits = {arm.budgets[cost] for arm in study.arms if cost in arm.budgets}
    return limits.pop() if len(limits) == 1 else None
