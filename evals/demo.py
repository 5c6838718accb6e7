"""``python -m evals.demo``: the main job once, from start to readable results.

Trains the shipped tiny policy with CMPO under the voucher budget (two processes), evaluates it on
test customers beside its starting point, the floors and the expert, and writes results, curves and
transcripts.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from evals import plots
from evals.study_run import curves

ENV = "td_gym/FoodDispute-v0"
BASELINES = ("tiny", "scripted", "always_voucher", "always_apologise", "do_nothing", "random")


def run(*command: str) -> None:
    """Run a ``td-gym`` command as a user would; its failure ends the demo with its exit code."""
    print(f"\n$ td-gym {' '.join(command)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "evals", *command], check=False).returncode
    if code:
        raise SystemExit(code)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, evaluate, draw."""
    parser = argparse.ArgumentParser(prog="python -m evals.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder, replaced (default runs/demo)")
    parser.add_argument("--steps", type=int, default=30, help="policy updates (default 30)")
    parser.add_argument("--episodes", type=int, default=300, help="test dialogues an agent (default 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nproc", type=int, default=2, help="training processes (default 2)")
    options = parser.parse_args(arguments)

    shutil.rmtree(options.out, ignore_errors=True)
    trained = options.out / "cmpo"
    run(
        *("train", "cmpo", "--env", ENV, "--model", "tiny", "--budget", "voucher=0.30", "--out", str(trained)),
        *("--steps", str(options.steps), "--seed", str(options.seed), "--nproc", str(options.nproc)),
    )
    agents = [part for spec in (str(trained), *BASELINES) for part in ("--agent", spec)]
    run(
        *("evaluate", "--env", ENV, *agents, "--episodes", str(options.episodes), "--split", "test"),
        *("--out", str(options.out), "--save-transcripts", "10"),
    )
    run("leaderboard", str(options.out / "results.json"), "--out", str(options.out / "table.md"))
    figure = options.out / "curves.png"
    panels = [
        plots.Panel("reward", "satisfaction (0-5)"),
        plots.Panel("costs/voucher", "voucher rate", target=0.30),
        plots.Panel("lambda/voucher", "multiplier"),
    ]
    plots.training_curves({"cmpo": [curves(trained / "metrics.jsonl")]}, panels, figure, title="CMPO on FoodDispute")
    print(f"\nLook at {figure}, {options.out / 'table.md'} and the transcripts in {options.out / 'transcripts'}.")


if __name__ == "__main__":
    main()
