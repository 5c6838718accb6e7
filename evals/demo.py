"""``python -m evals.demo``: the main job once, from start to readable results.

Trains the shipped tiny policy with CMPO under the voucher budget (two processes), evaluates it on
test customers beside its starting point, the floors and the expert, and writes results, curves and
transcripts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from evals import plots
from evals.commands.arguments import Parser, non_negative_int, positive_int
from evals.errors import guarded
from evals.files import write_text
from evals.study_run import curves
from td_gym.errors import TdGymError

ENV = "td_gym/FoodDispute-v0"
ABOUT = "demo.md"
_ABOUT = """\
`python -m evals.demo` writes into this folder, and replaces what it wrote before: the training run `cmpo/`,
`results.json` and `dialogues.jsonl` of its evaluation, `table.md` with its figure, `curves.png`, and `transcripts/`.
"""
BASELINES = ("tiny", "scripted", "always_voucher", "always_apologise", "do_nothing", "random")


def run(*command: str) -> None:
    """Run a ``td-gym`` command as a user would; its failure ends the demo with its exit code."""
    print(f"\n$ td-gym {' '.join(command)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "evals", *command], check=False).returncode
    if code:
        raise SystemExit(code)


@contextmanager
def _replacing(folder: Path) -> Iterator[None]:
    """Let the block make ``folder`` anew; where it fails, the folder is again what it was."""
    earlier = folder.with_name(f"{folder.name}.earlier")
    if folder.exists() and not earlier.exists():
        folder.rename(earlier)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if earlier.exists():
            earlier.rename(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, evaluate, draw; return the exit code."""
    return guarded("evals.demo", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m evals.demo", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="folder; an earlier demo in it is replaced"
    )
    parser.add_argument("--steps", type=positive_int, default=30, metavar="N", help="policy updates")
    parser.add_argument("--episodes", type=positive_int, default=300, metavar="N", help="test dialogues an agent")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="S", help="seed of training")
    parser.add_argument("--nproc", type=positive_int, default=2, metavar="N", help="training processes")
    options = parser.parse_args(argv)

    trained = options.out / "cmpo"
    if options.out.exists() and any(options.out.iterdir()) and not (options.out / ABOUT).exists():
        raise TdGymError(f"{str(options.out)!r} is not empty and holds no earlier demo; take another --out.")
    write_text(options.out / ABOUT, _ABOUT)
    with _replacing(trained):
        run(
            *("train", "cmpo", "--env", ENV, "--model", "tiny", "--budget", "voucher=0.30", "--out", str(trained)),
            *("--steps", str(options.steps), "--seed", str(options.seed), "--nproc", str(options.nproc)),
        )
    agents = [part for spec in (str(trained), *BASELINES) for part in ("--agent", spec)]
    run(
        *("evaluate", "--env", ENV, *agents, "--episodes", str(options.episodes), "--split", "test"),
        *("--out", str(options.out), "--save-transcripts", "10", "--force"),
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
