"""``python -m evals.study FILE``: run what a study still lacks, then sum it up.

Each run is a process of its own with one thread, ends in one committed JSON file
``results/STUDY/ARM-SEED.json``, and is skipped when that file exists, so that whoever continues a
study runs only what is missing.  Models and logs stay under ``runs/STUDY/ARM-SEED/``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from evals.commands.arguments import Parser, positive_int
from evals.errors import guarded
from evals.escaping import printable
from evals.scores import versions
from evals.study_check import check
from evals.study_file import (
    RUNS,
    Run,
    Study,
    check_versions,
    find_run,
    finished,
    load,
    result_path,
    runs,
    versions_of,
)
from evals.study_run import adopt, execute
from evals.study_summary import summarise
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario

DESCRIPTION = """\
Run the missing runs of a study and sum up its results.

A study is a TOML file that names the environment, the arms, the seeds and the evaluation. Every
finished run leaves results/STUDY/ARM-SEED.json; runs with such a file are not repeated, and one made
for other entries than the study's is refused. A run equal to one of another study takes its result
over. Afterwards results/STUDY/ holds results.json, results_b.json (the customer never trained on),
table.md and plots.
"""
EXAMPLES = """\
examples:
  python -m evals.study evals/studies/food_dispute_headline.toml --jobs 2
  python -m evals.study evals/studies/food_dispute_headline.toml --only cmpo-0 --only sft-0
  python -m evals.study evals/studies/food_dispute_headline.toml --summarise

docs/studies.md says what a study file may hold; evals/studies/ has examples.
"""
_POLL_SECONDS = 0.2
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` and return the exit code: 2 for bad input, and when a run failed."""
    return guarded("evals.study", lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="python -m evals.study", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("file", type=Path, metavar="FILE", help="the study, for example evals/studies/NAME.toml")
    parser.add_argument("--jobs", type=positive_int, default=1, metavar="N", help="runs at a time, one thread each")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ARM-SEED", help="run only this one if missing; repeatable"
    )
    parser.add_argument("--summarise", action="store_true", help="run nothing, only sum up what is there")
    parser.add_argument("--execute", metavar="ARM-SEED", help="run this one now, in this process, and write its file")
    args = parser.parse_args(argv)
    study = load(args.file)
    if args.only and (args.summarise or args.execute):
        raise TdGymError("--only names what is to be run, of what is missing; leave it out here.")
    if args.execute:
        execute(study, find_run(study, args.execute))
        return 0
    failed: list[str] = []
    if not args.summarise:
        check(study)
        wanted = [find_run(study, name) for name in args.only] or runs(study)
        done = finished(study)
        names = {run.name for run, _ in done}
        missing = [run for run in wanted if run.name not in names]
        if missing:
            _check_versions(study, done)
        print(f"{study.name}: {len(wanted) - len(missing)} of {len(wanted)} runs are done, {len(missing)} to go.")
        taken = adopt(study, missing)
        for name, source in taken.items():
            print(f"{name} is taken from {source}, an equal run.")
        failed = run_all(study, [run for run in missing if run.name not in taken], args.jobs)
    if failed and not finished(study):
        raise _failure(study, failed)
    for path in summarise(study):
        print(f"wrote {path}")
    if failed:
        raise _failure(study, failed)
    return 0


def _failure(study: Study, failed: Sequence[str]) -> TdGymError:
    return TdGymError(f"{len(failed)} of the runs failed: {', '.join(failed)}; the logs lie under {RUNS / study.name}.")


def _check_versions(study: Study, done: Sequence[tuple[Run, Mapping[str, Any]]]) -> None:
    """Refuse to start runs that could not be summed up with those ``done``, before they take hours."""
    made = {repr(str(result_path(study, run))): versions_of(result) for run, result in done}
    check_versions({**made, "a run made now": versions(make_scenario(study.env))})


@dataclass(frozen=True, slots=True)
class _Job:
    run: Run
    process: subprocess.Popen[bytes]
    log: TextIO
    started: float


def run_all(study: Study, missing: Sequence[Run], jobs: int) -> list[str]:
    """Run ``missing`` as subprocesses, ``jobs`` at a time, and return the names of those that failed."""
    waiting, active, failed = list(missing), list[_Job](), list[str]()
    finished = 0
    try:
        while waiting or active:
            while waiting and len(active) < jobs:
                active.append(_start(study, waiting.pop(0)))
            time.sleep(_POLL_SECONDS)
            for job in [job for job in active if job.process.poll() is not None]:
                active.remove(job)
                finished += 1
                job.log.close()
                ok = job.process.returncode == 0 and result_path(study, job.run).exists()
                if not ok:
                    failed.append(job.run.name)
                minutes = (time.monotonic() - job.started) / 60
                word = "finished" if ok else f"FAILED ({printable(last_line(log_path(study, job.run)))})"
                print(f"[{finished}/{len(missing)}] {job.run.name} {word} after {minutes:.1f} min", flush=True)
    finally:
        for job in active:
            job.process.terminate()
            job.process.wait()
            job.log.close()
    return failed


def _start(study: Study, run: Run) -> _Job:
    path = log_path(study, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.open("a", encoding="utf-8")
    command = [sys.executable, "-m", "evals.study", str(study.path), "--execute", run.name]
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=_environment(os.environ))
    print(f"started {run.name}, log in {path}", flush=True)
    return _Job(run, process, log, time.monotonic())


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    return {**base, **_ONE_THREAD, "TOKENIZERS_PARALLELISM": "false"}


def log_path(study: Study, run: Run) -> Path:
    """Return the log of ``run``; it lies beside the run directory, which the trainer owns."""
    return RUNS / study.name / f"{run.name}.log"


def last_line(path: Path) -> str:
    """Return the last line of a log that is not blank."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), f"no output in {path}")


if __name__ == "__main__":
    sys.exit(main())
