from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evals import demo, plots, runner, study_run
from evals import study as study_command
from evals.runner import Setting
from evals.scores import versions
from evals.study_check import check
from evals.study_file import Arm, Run, config_of, find_run, load, result_path, runs
from evals.study_run import adopt, execute, train_arm, train_config
from evals.study_summary import collect, instability, paired, summarise
from td_gym.errors import TdGymError
from td_gym.registration import make_scenario

if TYPE_CHECKING:
    from agents.config import TrainConfig

STUDIES = sorted((Path(__file__).parents[2] / "evals" / "studies").glob("*.toml"))
SMALL = """
env = "td_gym/FoodDispute-v0"
tuning_budget = "none"
seeds = [0, 1, 2]
fixed = ["random"]
[train]
steps = 2
options = { process_weight = 0.5, scale_decay = 0.9 }
[evaluation]
episodes = 4
[arms.sft]
agent = "tiny"
[arms.cmpo]
method = "cmpo"
budgets = { voucher = 0.3 }
options = { scale_decay = 0.8 }
"""


def a_study(folder: Path, text: str = SMALL) -> Path:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


def a_result(value: float, *, training: bool = False) -> dict[str, Any]:
    metric = {"mean": value, "ci95": [value - 0.1, value + 0.1], "n": 4}
    cheap = {**metric, "mean": value / 10}
    measured = {"metrics": {"satisfaction": metric, "voucher_rate": cheap, "voucher_rate/refund_priority": cheap}}
    return {
        "evaluation": {"scripted": measured, "scripted_b": measured},
        "training": [{"reward": value, "costs/voucher": 0.3, "lambda/voucher": 0.8}] * 3 if training else [],
        "provenance": {"commit": "c0ffee", "machine": {"cores": 1}, "device": "cpu"},
    }


def made_now(value: float, *, training: bool = False, env: str = "td_gym/FoodDispute-v0") -> dict[str, Any]:
    """A result as a run of today leaves it: with the versions of its scenario."""
    result = a_result(value, training=training)
    result["provenance"] |= versions(make_scenario(env))
    return result


def save(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result), encoding="utf-8")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_can_run_and_name_runs_once(path: Path) -> None:
    study = load(path)
    check(study)
    names = [run.name for run in runs(study)]
    assert len(names) == len(set(names))
    assert study.evaluation.split == "test"
    assert study.evaluation.customers == make_scenario(study.env).customers


def test_headline_has_the_four_arms_with_five_seeds() -> None:
    study = load(next(path for path in STUDIES if path.stem == "food_dispute_headline"))
    assert [arm.name for arm in study.arms] == ["cmpo", "grpo", "ppo", "sft"]
    assert study.seeds == (0, 1, 2, 3, 4)
    assert study.evaluation.episodes == 1000


def test_arm_options_override_shared_ones(tmp_path: Path) -> None:
    sft, cmpo = load(a_study(tmp_path)).arms
    assert (sft.agent, sft.method) == ("tiny", "")
    assert cmpo.steps == 2
    assert cmpo.options == {"process_weight": 0.5, "scale_decay": 0.8}
    assert cmpo.budgets == {"voucher": 0.3}


def test_the_longest_reply_is_a_setting(tmp_path: Path) -> None:
    study = load(a_study(tmp_path, SMALL.replace("steps = 2", "steps = 2\nsettings = { max_new_tokens = 40 }")))
    assert train_config(study, find_run(study, "cmpo-0"), tmp_path).max_new_tokens == 40


def test_an_arm_may_have_fewer_seeds_than_the_study(tmp_path: Path) -> None:
    few = load(a_study(tmp_path, SMALL + "seeds = [0, 2]\n"))
    assert [run.name for run in runs(few)] == ["random-0", "sft-0", "cmpo-0", "sft-1", "sft-2", "cmpo-2"]
    every = load(a_study(tmp_path))
    assert config_of(few, find_run(few, "cmpo-2")) == config_of(every, find_run(every, "cmpo-2"))
    for seeds, said in (("[0, 3]", "has 3, which is no seed of the study"), ("[]", "must be a list of whole numbers")):
        with pytest.raises(TdGymError, match=said):
            load(a_study(tmp_path, SMALL + f"seeds = {seeds}\n"))


@pytest.mark.parametrize(
    ("plan", "population"), [("", "standard"), ('population = "hard"\n', "hard")], ids=["default", "stated"]
)
def test_arms_are_trained_and_evaluated_on_one_population(
    plan: str, population: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SMALL.replace("FoodDispute", "Sales").replace("voucher =", "discount =")
    study = load(a_study(tmp_path, text.replace("[evaluation]\n", f"[evaluation]\n{plan}")))
    path = execute(study, find_run(study, "random-0"), tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["provenance"]["population"] == population
    trained: list[str] = []

    def train(config: TrainConfig) -> None:
        scenario = make_scenario(config.env)
        trained.append(config.population or scenario.populations[0])
        config.out.mkdir()
        (config.out / "metrics.jsonl").write_text("")

    monkeypatch.setattr("agents.trainer.train", train)
    assert train_arm(study, find_run(study, "cmpo-0"), tmp_path / "run") == []
    assert trained == [population]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('agent = "tiny"', 'agnet = "tiny"', "agnet"),
        ('agent = "tiny"', "", "either 'method'"),
        ("seeds = [0, 1, 2]", "seeds = []", "seeds"),
        ("seeds = [0, 1, 2]", "seeds = [-1]", "seeds"),
        ("steps = 2", "steps = 0", "steps"),
        ("episodes = 4", "episodes = -4", "episodes"),
        ("episodes = 4", "epsiodes = 4", "epsiodes"),
        ('tuning_budget = "none"', "", "tuning_budget"),
        ('fixed = ["random"]', 'fixed = ["sft"]', "sft"),
        ("[arms.sft]", "[arms.sft", "TOML"),
        ("steps = 2", 'steps = "2"', "'steps' .* whole number"),
        ("seeds = [0, 1, 2]", "seeds = [true]", "seeds"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1, 0]", "'seeds' in study .* names 0 2 times"),
        ('method = "cmpo"', 'method = "cmpo"\nseeds = [1, 1]', r"'seeds' in .*\[arms.cmpo\] names 1 2 times"),
        ('fixed = ["random"]', 'fixed = ["random", "oracle", "random"]', "'fixed' in study .* names 'random' 2 times"),
        ("episodes = 4", 'customers = ["scripted", "scripted"]', "'customers' in .* names 'scripted' 2 times"),
        ('fixed = ["random"]', 'fixed = "random"', "'fixed' .* list"),
        ('fixed = ["random"]', "fixed = [3]", "'fixed' .* names"),
        ('fixed = ["random"]', 'fixed = ["runs/mine"]', "'runs/mine' in .* agent = 'runs/mine'"),
        ("[arms.sft]", '[arms."../sft"]', "'../sft' in .* cannot hold a '/'"),
        ('fixed = ["random"]', 'columns = "engagement"', "'columns' .* list"),
        ('fixed = ["random"]', 'columns = ["engagment"]', "'columns' of study .*'engagment'.* mean 'engagement'"),
        ('fixed = ["random"]', 'columns = ["conversion_rate"]', "'columns' of study .*'conversion_rate'"),
        ("episodes = 4", "temperature = -1.0", "temperature"),
        ("voucher = 0.3", 'voucher = "low"', "'voucher' .*arms.cmpo.* number"),
        ('agent = "tiny"', 'agent = "tiny"\nbudgets = { voucher = 0.1 }', "arms.sft.*remove 'budgets'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(TdGymError, match="(?s)" + named):
        load(a_study(tmp_path, SMALL.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("FoodDispute", "FoodDispte", "FoodDispte"),
        ("episodes = 4", 'customers = ["scripted", "scripted_c"]', "scripted_c"),
        ("episodes = 4", 'population = "harsh"', "harsh"),
        ("episodes = 4", 'split = "tset"', "tset"),
        ("episodes = 4", "seed = -1", "seed"),
        ('fixed = ["random"]', 'fixed = ["randm"]', "'randm'"),
        ('agent = "tiny"', 'agent = "tinny"', "'sft'.*tinny"),
        ('method = "cmpo"', 'method = "cpmo"', "'cmpo'.*cpmo"),
        ('method = "cmpo"', 'method = "cmpo"\npreset = "hybird"', "'cmpo'.*hybird"),
        ('method = "cmpo"', 'method = "cmpo"\nmodel = "nowhere"', "'cmpo'.*nowhere"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { lrr = 1e-3 }', "'cmpo'.*lrr.*Did you mean 'lr'"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { lr = "fast" }', "'lr' .*float.*fast"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { data = "multiwoz" }', "'cmpo'.* takes no 'data'.* --data"),
        (
            'method = "cmpo"',
            'method = "cmpo"\nsettings = { max_new_tokens = "x" }',
            "max_new_tokens.* whole number",
        ),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { resume = true }', "resume"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { customer = "nobody" }', "nobody"),
        ("scale_decay = 0.8", "scale_dcay = 0.8", "'cmpo'.*scale_dcay"),
        ("scale_decay = 0.8", 'scale_decay = "slow"', "'cmpo'.*slow"),
        ("scale_decay = 0.8", "term_weights = { x = 1.0 }", "'cmpo'.*turn term 'x'"),
        ("scale_decay = 0.8", 'loss = { normalisation = "mean" }', "'cmpo'.*normalisation 'mean'"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { betas = [0.5] }', "'cmpo'.*betas.*list of 2 numbers"),
        ("voucher = 0.3", "vouchers = 0.3", "'cmpo'.*vouchers"),
        ("voucher = 0.3", "voucher = -0.3", "'cmpo'.*at least 0, it is -0.3"),
        ("voucher = 0.3", "voucher = nan", "'cmpo'.*at least 0, it is nan"),
        ("voucher = 0.3", "voucher = inf", "'cmpo'.*at least 0, it is inf"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { lr = inf }', "'cmpo'.*lr must be a finite number above 0"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { opponent = "nope" }', "'cmpo'.*no model 'nope'"),
        ('method = "cmpo"', 'method = "cmpo"\nsettings = { copies = 1 }', "'cmpo'.*copies of at least"),
        ('method = "cmpo"', 'method = "memory"', "'cmpo'.*memory takes no budgets"),
        ('method = "cmpo"\nbudgets = { voucher = 0.3 }', 'method = "memory"\npreset = "x"', "memory takes no preset"),
        ('method = "cmpo"\nbudgets = { voucher = 0.3 }', 'method = "memory"', "option of memory 'process_weight'"),
    ],
)
def test_what_no_run_could_use_is_named_before_the_first_starts(
    old: str, new: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = a_study(tmp_path, SMALL.replace(old, new, 1))
    assert study_command.main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("evals.study: error: In study '")
    assert re.search(named, line)
    assert list(tmp_path.iterdir()) == [path]


def test_recordings_are_looked_for_before_the_first_run_starts(tmp_path: Path) -> None:
    head = SMALL[: SMALL.index("[train]")]
    arm = "[arms.sft]\nmethod = 'sft'\npreset = 'recorded'\nsteps = 1\n"
    with pytest.raises(TdGymError, match="'sft': FoodDispute has no recorded dialogues"):
        check(load(a_study(tmp_path, f"{head}[evaluation]\nepisodes = 2\n{arm}")))


def test_a_memory_is_an_arm(tmp_path: Path) -> None:
    text = SMALL[: SMALL.index("[train]")] + "[evaluation]\nepisodes = 2\n[arms.memory]\nmethod = 'memory'\nsteps = 1\n"
    study = load(a_study(tmp_path, text + "options = { drafts = 2 }\nsettings = { customers = 4, copies = 2 }\n"))
    check(study)
    path = execute(study, find_run(study, "memory-1"), tmp_path / "results", tmp_path / "runs")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert (result["kind"], len(result["training"]), set(result["evaluation"])) == (
        "trained",
        1,
        {"scripted", "scripted_b"},
    )
    assert execute(study, find_run(study, "memory-1"), tmp_path / "results", tmp_path / "runs") == path


def test_an_arm_is_evaluated_on_the_device_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def make_agents(specs: list[str], setting: Setting) -> Any:
        asked.append(setting.device)
        return runner.make_agents(["random"], replace(setting, device="cpu"))

    monkeypatch.setattr(study_run, "make_agents", make_agents)
    study = load(a_study(tmp_path, SMALL.replace("steps = 2", 'steps = 2\nsettings = { device = "cuda" }')))
    path = execute(study, find_run(study, "sft-0"), tmp_path / "results", tmp_path / "runs")
    assert asked == ["cuda", "cuda"]
    assert json.loads(path.read_text(encoding="utf-8"))["provenance"]["device"] == "cuda"


def test_missing_file_and_unknown_run_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study_command.main([str(tmp_path / "none.toml")]) == 2
    assert study_command.main([str(a_study(tmp_path)), "--only", "cmpo-9"]) == 2
    assert study_command.main([str(a_study(tmp_path)), "--jobs", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("evals.study: error: ") for line in lines)


def test_only_missing_runs_are_started_and_failures_do_not_stop_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = a_study(tmp_path)
    study = load(path)
    save(result_path(study, find_run(study, "cmpo-0")), made_now(4.0, training=True))
    script = tmp_path / "job.py"
    script.write_text(
        "import json, os, sys\n"
        "name = sys.argv[-1]\n"
        "assert os.environ['OMP_NUM_THREADS'] == '1'\n"
        "if name == 'cmpo-1': print('it \\x1b[2Jbroke'); sys.exit(3)\n"
        f"json.dump({made_now(3.5)!r}, open('results/small/' + name + '.json', 'w'))\n",
        encoding="utf-8",
    )
    real = study_command.subprocess.Popen
    started: list[str] = []

    def popen(command: list[str], **options: Any) -> Any:
        started.append(command[-1])
        return real([sys.executable, str(script), *command[-1:]], **options)

    monkeypatch.setattr(study_command.subprocess, "Popen", popen)
    monkeypatch.setattr(study_command, "_POLL_SECONDS", 0.01)
    assert study_command.main([str(path), "--jobs", "2"]) == 2
    assert started == ["random-0", "sft-0", "sft-1", "cmpo-1", "sft-2", "cmpo-2"]
    captured = capsys.readouterr()
    assert r"cmpo-1 FAILED (it \x1b[2Jbroke)" in captured.out
    assert captured.err.splitlines() == [
        "evals.study: error: 1 of the runs failed: cmpo-1; the logs lie under runs/small."
    ]
    assert set(json.loads(Path("results/small/results.json").read_text())["agents"]) == {"sft", "cmpo", "random"}


def test_failures_are_told_where_nothing_can_be_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = a_study(tmp_path)
    monkeypatch.setattr(study_command, "run_all", lambda _, missing, jobs: [run.name for run in missing])
    assert study_command.main([str(path), "--only", "sft-0", "--only", "cmpo-2"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "evals.study: error: 2 of the runs failed: sft-0, cmpo-2; the logs lie under runs/small."
    ]
    assert not Path("results").exists()


def without(data: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return a copy of ``data`` that lacks the field at ``path``."""
    copied = inner = json.loads(json.dumps(data))
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return copied  # type: ignore[no-any-return]


BROKEN: dict[str, tuple[Any, str]] = {
    "a list": ([], "must be a JSON object, not a list"),
    "empty": ({}, "has no field 'provenance'"),
    "no provenance": ({"evaluation": {}}, "has no field 'provenance'"),
    "no evaluation": (without(a_result(3.0), "evaluation"), "has no field 'evaluation'"),
    "no customer": (a_result(3.0) | {"evaluation": {}}, "evaluation has no field 'scripted'"),
    "evaluation is null": (a_result(3.0) | {"evaluation": None}, "evaluation must be a JSON object, not null"),
    "provenance is a list": (a_result(3.0) | {"provenance": []}, "provenance must be a JSON object"),
    "config is a list": (a_result(3.0) | {"config": []}, "config must be a JSON object"),
    "config without a plan": (a_result(3.0) | {"config": {"evaluation": 1}}, "config.evaluation must be"),
    "curves are no list": (a_result(3.0) | {"training": {}}, "training must be a JSON list"),
    "a curve without a number": (
        a_result(3.0) | {"training": [{"reward": None}]},
        r"training\[0\].reward must be a finite number, not null",
    ),
    "no metrics": (without(a_result(3.0), "evaluation", "scripted", "metrics"), "evaluation.scripted has no field"),
    "no mean": (
        without(a_result(3.0), "evaluation", "scripted_b", "metrics", "satisfaction", "mean"),
        "evaluation.scripted_b.metrics.satisfaction has no field 'mean'",
    ),
    "NaN": (a_result(float("nan")), "metrics.satisfaction.mean must be a finite number, not nan"),
    "one bound": (
        a_result(3.0) | {"evaluation": {"scripted": {"metrics": {"satisfaction": {"mean": 1, "n": 1, "ci95": [1]}}}}},
        "ci95 must be two numbers, not 1",
    ),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_result_is_named_with_its_field(content: Any, said: str, tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    save(result_path(study, find_run(study, "sft-0"), tmp_path), a_result(3.0))
    save(result_path(study, find_run(study, "sft-1"), tmp_path), content)
    with pytest.raises(TdGymError, match=f"small/sft-1.json'.*{said}"):
        summarise(study, tmp_path)


@pytest.mark.parametrize("content", [each for each, _ in BROKEN.values()], ids=BROKEN)
def test_a_broken_result_of_another_study_is_passed_over(content: Any, tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    run = find_run(study, "sft-1")
    config = config_of(study, run)
    save(tmp_path / "a_study" / "sft-1.json", {**content, "config": config} if isinstance(content, dict) else content)
    save(tmp_path / "b_study" / "sft-1.json", content)
    save(tmp_path / "c_study" / "sft-1.json", {**made_now(3.0), "config": config})
    (tmp_path / "c_study" / "cut-off-1.json").write_text('{"evaluation": ')
    assert adopt(study, [run], tmp_path) == {"sft-1": tmp_path / "c_study" / "sft-1.json"}


VERSIONS = [
    ("scenario_version", "1.0", "1.1"),
    ("wording_version", "1", "2"),
    ("protocol_version", "1", "2"),
    ("metrics_version", None, "2"),
]


@pytest.mark.parametrize(("name", "before", "now"), VERSIONS, ids=[name for name, *_ in VERSIONS])
def test_results_of_different_versions_are_not_put_together(
    name: str, before: str | None, now: str, tmp_path: Path
) -> None:
    study = load(a_study(tmp_path))
    for run, version in (("sft-0", before), ("sft-1", before), ("cmpo-1", now)):
        result = made_now(3.0)
        result["provenance"] |= {name: version}
        if version is None:
            del result["provenance"][name]
        save(result_path(study, find_run(study, run), tmp_path), result)
    with pytest.raises(TdGymError, match=rf"small/sft-1.json' has {name} '1.*small/cmpo-1.json' has '{now}'"):
        summarise(study, tmp_path)


def test_versions_stand_in_the_summary_and_no_name_means_the_first_metrics(tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    known = versions(make_scenario(study.env)) | {"metrics_version": "1"}
    for run in runs(study):
        result = a_result(3.0)
        result["provenance"] |= known
        if run.seed:
            del result["provenance"]["metrics_version"]
        save(result_path(study, run, tmp_path), result)
    written = summarise(study, tmp_path)
    for path in written[:2]:
        provenance = json.loads(path.read_text())["provenance"]
        assert provenance | known == provenance


def test_what_is_to_be_run_is_not_named_where_nothing_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study_command.main([str(a_study(tmp_path)), "--summarise", "--only", "sft-0"]) == 2
    assert "--only names what is to be run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "said"),
    [(("a-b", "a", "b-a"), "would be called 'a-b-a'"), (("x\\u0000y",), "cannot hold a '/' or what is not printable")],
)
def test_arms_whose_names_cannot_name_files_or_differences_are_refused(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    arms = "".join(f'[arms."{name}"]\nagent = "scripted"\n' for name in names)
    with pytest.raises(TdGymError, match=said):
        load(a_study(tmp_path, SMALL.partition("[arms")[0] + arms))


def test_a_module_that_registers_an_environment_is_not_part_of_results(tmp_path: Path) -> None:
    study = load(a_study(tmp_path, SMALL.replace("td_gym/Food", "json:td_gym/Food")))
    run = find_run(study, "sft-0")
    assert config_of(study, run)["env"] == "td_gym/FoodDispute-v0"
    assert collect(study, [(run, made_now(3.0))], "scripted")["env"] == "td_gym/FoodDispute-v0"


def test_a_demo_that_cannot_be_keeps_the_one_before(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cmpo").mkdir()
    (tmp_path / "cmpo" / "metrics.jsonl").touch()
    (tmp_path / demo.ABOUT).write_text("an earlier one")
    with pytest.raises(SystemExit, match=r"^2$"):
        demo.main(["--out", str(tmp_path), "--nproc", "3"])
    assert "32 customers cannot be shared evenly by 3 processes" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "cmpo").iterdir()] == ["metrics.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cmpo", demo.ABOUT]


def test_no_run_is_started_that_could_not_be_summed_up_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study = load(a_study(tmp_path))
    older = made_now(3.0)
    older["provenance"]["scenario_version"] = "0"
    save(result_path(study, find_run(study, "sft-0")), older)
    started: list[Any] = []
    monkeypatch.setattr(study_command, "_start", lambda *job: started.append(job))
    assert study_command.main([str(study.path)]) == 2
    assert "'results/small/sft-0.json' has scenario_version '0', but a run made now has" in capsys.readouterr().err
    assert started == []
    assert study_command.main([str(study.path), "--summarise"]) == 0


@pytest.mark.parametrize(
    ("run", "old", "new", "said"),
    [
        ("random-0", "episodes = 4", "episodes = 6", r"evaluation\.episodes 4, .* 6;.* delete 'results/small/random-0"),
        ("sft-1", "episodes = 4", 'episodes = 4\ncustomers = ["scripted"]', r"evaluation\.customers"),
        ("cmpo-2", "voucher = 0.3", "voucher = 0.2", r"budgets .*0\.3.*0\.2.* and 'runs/small/cmpo-2'"),
        ("cmpo-2", "scale_decay = 0.8", "scale_decay = 0.7", "options"),
        ("cmpo-0", "steps = 2", "steps = 3", "steps 2, .* 3"),
    ],
)
def test_a_result_made_for_other_entries_is_refused(
    run: str, old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = load(a_study(tmp_path))
    config = config_of(study, find_run(study, run))
    save(result_path(study, find_run(study, run)), {**a_result(3.0), "config": config})
    summarise(study)
    changed = a_study(tmp_path, SMALL.replace(old, new, 1))
    started: list[Any] = []
    monkeypatch.setattr(study_command, "_start", lambda *job: started.append(job))
    for words in ([], ["--summarise"]):
        with pytest.raises(TdGymError, match=f"{run}.*{said}"):
            study_command._main([str(changed), *words])
    assert started == []


def test_a_result_of_fewer_customers_is_of_other_entries(tmp_path: Path) -> None:
    fewer = load(a_study(tmp_path, SMALL.replace("episodes = 4", 'episodes = 4\ncustomers = ["scripted"]')))
    run = find_run(fewer, "sft-1")
    result = without(a_result(3.0), "evaluation", "scripted_b") | {"config": config_of(fewer, run)}
    save(result_path(fewer, run, tmp_path), result)
    assert summarise(fewer, tmp_path)
    with pytest.raises(TdGymError, match=r"'sft-1' was done with evaluation\.customers \['scripted'\]"):
        summarise(load(a_study(tmp_path)), tmp_path)


def test_an_equal_run_of_another_study_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study = load(a_study(tmp_path))
    known = versions(make_scenario(study.env))
    result = {**a_result(3.0, training=True), "config": config_of(study, find_run(study, "cmpo-1"))}
    result["provenance"] |= known
    other = Path("results/other")
    save(other / "controlled-1.json", {**result, "config": {**result["config"], "name": "controlled"}})
    save(other / "cheaper-1.json", {**result, "config": {**result["config"], "steps": 1}})
    save(other / "of_old-2.json", {**result, "config": config_of(study, find_run(study, "cmpo-2"))})
    stale = json.loads((other / "of_old-2.json").read_text())
    stale["provenance"]["scenario_version"] = "0"
    save(other / "of_old-2.json", stale)
    judged = json.loads((other / "controlled-1.json").read_text())
    del judged["provenance"]["metrics_version"]
    save(other / "judged_before-0.json", {**judged, "config": config_of(study, find_run(study, "cmpo-0"))})
    save(other / "no-run-0.json", {"agents": {}, "provenance": known})
    started: list[str] = []
    monkeypatch.setattr(study_command, "run_all", lambda _, missing, jobs: started.extend(run.name for run in missing))
    study_command._main([str(study.path)])
    assert started == ["random-0", "sft-0", "cmpo-0", "sft-1", "sft-2", "cmpo-2"]
    taken = json.loads(result_path(study, find_run(study, "cmpo-1")).read_text())
    assert (taken["study"], taken["arm"], taken["taken_from"]) == ("small", "cmpo", "results/other/controlled-1.json")
    assert taken["training"] == result["training"]
    assert taken["provenance"] == result["provenance"]
    assert "cmpo-1 is taken from results/other/controlled-1.json" in capsys.readouterr().out


def test_results_stay_valid_for_entries_that_they_do_not_depend_on(tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    path = result_path(study, find_run(study, "sft-0"), tmp_path)
    config = config_of(study, find_run(study, "sft-0"))
    del config["evaluation"]["population"]
    save(path, {**a_result(3.0), "config": config})
    changed = SMALL.replace("steps = 2", "steps = 3").replace("episodes = 4", 'episodes = 4\npopulation = "hard"')
    assert summarise(load(a_study(tmp_path, changed)), tmp_path)


def test_summary_has_t_intervals_over_seeds_and_paired_differences(tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    done = [(run, a_result(3.0)) for run in runs(study) if run.fixed]
    for arm, values in zip(study.arms, ((3.0, 3.1, 3.2), (3.5, 3.7, 3.6)), strict=True):
        done += [(Run(arm, seed), a_result(value)) for seed, value in enumerate(values)]
    results = collect(study, done, "scripted")
    metric = results["agents"]["cmpo"]["metrics"]["satisfaction"]
    # mean 3.6, sd 0.1, t(0.975, 2) = 4.30265: half width 0.1 / sqrt(3) * 4.30265 = 0.24841
    assert metric["mean"] == pytest.approx(3.6)
    assert metric["ci95"] == pytest.approx([3.6 - 0.24841, 3.6 + 0.24841], abs=1e-4)
    assert metric["n"] == 3
    # differences 0.5, 0.6, 0.4: the same spread
    difference = results["paired"]["cmpo-sft"]["satisfaction"]
    assert difference["mean"] == pytest.approx(0.5)
    assert difference["ci95"] == pytest.approx([0.5 - 0.24841, 0.5 + 0.24841], abs=1e-4)
    assert difference["relative"] == pytest.approx(0.5 / 3.1)
    assert results["paired"]["sft-cmpo"]["satisfaction"]["mean"] == pytest.approx(-0.5)
    assert results["agents"]["random"]["interval"] == "bootstrap over dialogues"


@pytest.mark.parametrize(
    ("left", "right", "relative"),
    [((-1.0, -1.1), (-2.0, -2.1), 1 / 2.05), ((-3.0, -3.1), (-2.0, -2.1), -1 / 2.05), ((1.0, 1.1), (0.0, 0.0), None)],
    ids=["less bad", "worse", "of nothing"],
)
def test_a_gain_is_positive_whatever_the_sign_of_the_mean(
    left: tuple[float, ...], right: tuple[float, ...], relative: float | None
) -> None:
    by_arm = {
        arm: {seed: a_result(value)["evaluation"]["scripted"] for seed, value in enumerate(values)}
        for arm, values in (("a", left), ("b", right))
    }
    assert paired(by_arm)["a-b"]["satisfaction"]["relative"] == (None if relative is None else pytest.approx(relative))


def test_pairs_use_only_seeds_that_both_arms_have() -> None:
    def measured(value: float) -> dict[str, Any]:
        return a_result(value)["evaluation"]["scripted"]  # type: ignore[no-any-return]

    by_arm = {"a": {0: measured(1.0), 1: measured(2.0), 2: measured(9.0)}, "b": {0: measured(0.5), 1: measured(1.0)}}
    assert paired(by_arm)["a-b"]["satisfaction"]["mean"] == pytest.approx(0.75)
    assert paired({"a": by_arm["a"], "b": {2: measured(1.0)}}) == {}


def test_summarise_writes_tables_and_pictures(tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    for run in runs(study):
        save(result_path(study, run, tmp_path), a_result(3.0 + run.seed / 10, training=bool(run.arm.method)))
    written = {path.name for path in summarise(study, tmp_path)}
    assert written == {"results.json", "results_b.json", "table.md", "curves.png", "pareto.png", "pareto_b.png"}
    table = (tmp_path / "small" / "table.md").read_text(encoding="utf-8")
    assert "satisfaction [t]" in table
    assert "t-interval over training seeds" in table
    assert str(tmp_path) not in table + (tmp_path / "small" / "results.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "noted"),
    [
        (("random-0", "sft-0", "sft-1", "cmpo-0", "cmpo-2"), False),
        (("random-0", "sft-0", "sft-1", "cmpo-2"), True),
        (("random-0",), False),
    ],
    ids=["seeds enough", "an arm of one seed", "no arm"],
)
def test_the_interval_of_an_arm_of_one_seed_is_noted(names: tuple[str, ...], noted: bool, tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    for name in names:
        save(result_path(study, find_run(study, name), tmp_path), a_result(3.0))
    summarise(study, tmp_path)
    table = (tmp_path / "small" / "table.md").read_text(encoding="utf-8")
    assert ("Arms of one seed: bootstrap over its dialogues" in table) == noted


def test_each_customer_has_a_file_whatever_its_name(tmp_path: Path) -> None:
    server = "http://127.0.0.1:9/v1"
    customers = ["llm:p@" + server, "llm:q@" + server, "llm q@" + server, "../..", "scripted_b", f"llm:{'q' * 300}"]
    study = load(a_study(tmp_path, SMALL.replace("episodes = 4", f"episodes = 4\ncustomers = {json.dumps(customers)}")))
    measured = a_result(3.0)["evaluation"]["scripted"]
    result = a_result(3.0) | {"evaluation": dict.fromkeys(customers, measured)}
    save(result_path(study, find_run(study, "sft-0"), tmp_path / "results"), result)
    written = summarise(study, tmp_path / "results")
    folder = tmp_path / "results" / "small"
    assert {path.parent for path in written} == {folder}
    held = {json.loads(path.read_text())["customer"]: path.name for path in folder.glob("results*.json")}
    assert held == {
        customers[0]: "results.json",
        customers[1]: "results_llm_q_http_127.0.0.1_9_v1.json",
        customers[2]: "results_llm_q_http_127.0.0.1_9_v1-2.json",
        customers[3]: "results_unnamed.json",
        customers[4]: "results_b.json",
        customers[5]: f"results_llm_{'q' * 76}.json",
    }
    pictures = {name.replace("results", "pareto").removesuffix(".json") + ".png" for name in held.values()}
    assert {path.name for path in folder.glob("*.png")} == pictures


def conducted(value: float, engagement: float, consistency: float | None) -> dict[str, Any]:
    """A result with the metrics of how the service was conducted; only an arm that plans is consistent with a plan."""
    result = a_result(value)
    metric = result["evaluation"]["scripted"]["metrics"]["satisfaction"]
    more = {"engagement": engagement} | ({} if consistency is None else {"consistency": consistency})
    for measured in result["evaluation"].values():
        measured["metrics"] |= {name: {**metric, "mean": mean} for name, mean in more.items()}
    return result


def test_instability_is_stated_where_its_curves_are_recorded(tmp_path: Path) -> None:
    study = load(a_study(tmp_path))
    for seed, quality in enumerate([(0.0, 1.0, 0.0, 1.0), (0.0, 2.0, 0.0, 2.0)]):
        training = [{"reward": 2.0, "quality": value} for value in quality]
        save(result_path(study, find_run(study, f"cmpo-{seed}"), tmp_path), {**a_result(2.0), "training": training})
    assert instability({"sft": [[{"reward": 1.0}, {"reward": 2.0}]]}) == [
        ["arm", "n", "accuracy of reasoning", "mean reward of a reply"]
    ]
    summarise(study, tmp_path)
    table = (tmp_path / "small" / "table.md").read_text()
    # Steps 1, -1, 1 and twice that: spreads 1.155 and 2.309, t(0.975, 1) = 12.706.
    assert "| cmpo | 2 | - | 1.732 [-5.604, 9.068] |" in table


def test_a_study_shows_and_compares_the_columns_it_names(tmp_path: Path) -> None:
    plain = f"{SMALL}[arms.planned]\nagent = 'scripted'\n[arms.unmasked]\nagent = 'oracle'\n"
    for number, named in enumerate(('columns = ["consistency", "engagement"]\n', "")):
        study, root = load(a_study(tmp_path, named + plain)), tmp_path / str(number)
        for run in runs(study):
            plans = run.arm.name in ("planned", "unmasked")
            save(
                result_path(study, run, root),
                conducted(3.0 + run.seed / 10, 0.5 + 0.2 * plans, 0.9 - run.seed / 100 if plans else None),
            )
        summarise(study, root)
    shown, usual = ((tmp_path / number / "small" / "table.md").read_text(encoding="utf-8") for number in "01")
    assert "| satisfaction [t] | voucher_rate [t] | engagement [t] | consistency [t] |" in shown
    assert "| difference | satisfaction | voucher_rate | engagement | consistency |" in shown
    assert (
        "| sft-planned | 0.00 [0.00, 0.00] (+0 %) | 0.00 [0.00, 0.00] (+0 %) | -0.20 [-0.20, -0.20] (-29 %) | - |"
        in shown
    )
    assert "| planned-unmasked |" in shown
    assert "engagement" not in usual
    assert "| difference | satisfaction | voucher_rate |\n" in usual
    results = [(tmp_path / number / "small" / "results.json").read_text(encoding="utf-8") for number in "01"]
    assert results[0] == results[1]


def test_a_study_shows_the_reward_and_the_cost_of_its_own_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(plots, "training_curves", lambda curves, panels, path, **more: drawn.update(panels=panels))
    monkeypatch.setattr(plots, "reward_against_cost", lambda points, path, **more: drawn.update(more, points=points))
    sold = json.loads(
        json.dumps(a_result(0.4, training=True))
        .replace("satisfaction", "conversion_rate")
        .replace("voucher", "discount")
        .replace("discount_rate", "discount_spend")
    )
    text = SMALL.replace("FoodDispute", "Sales").replace("voucher =", "discount =")
    study = load(a_study(tmp_path, text))
    for run in runs(study):
        save(result_path(study, run, tmp_path), sold)
    summarise(study, tmp_path)
    table = (tmp_path / "small" / "table.md").read_text(encoding="utf-8")
    assert "conversion_rate is what agents are trained on." in table
    assert "| difference | conversion_rate | discount_spend |" in table
    assert "Discount spend by objection:" in table
    assert [(panel.key, panel.label, panel.target) for panel in drawn["panels"]] == [
        ("reward", "conversion rate\n(training, 0 to 1)", None),
        ("costs/discount", "discount spend\n(share of the coupon)", 0.3),
        ("lambda/discount", "multiplier lambda", None),
    ]
    assert drawn["x_label"] == "discount spend (share of the coupon)"
    assert drawn["y_label"] == "conversion rate (0 to 1, mean over all dialogues)"
    assert drawn["target"] == 0.3
    assert [(point.name, point.x, point.y) for point in drawn["points"]] == [
        ("sft", pytest.approx(0.04), pytest.approx(0.4)),
        ("cmpo", pytest.approx(0.04), pytest.approx(0.4)),
        ("random", 0.04, 0.4),
    ]


def test_summarise_without_any_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TdGymError, match=r"run python -m evals\.study"):
        summarise(load(a_study(tmp_path)), tmp_path)


def test_a_fixed_agent_has_one_run(tmp_path: Path) -> None:
    fixed = [run for run in runs(load(a_study(tmp_path))) if run.fixed]
    assert fixed == [Run(Arm(name="random", agent="random"), 0, fixed=True)]
