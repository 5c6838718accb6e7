from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evals import cli
from evals.dialogue import read_dialogues
from td_gym import errors
from td_gym.registration import env_ids, make_scenario

ENV = "td_gym/FoodDispute-v0"
ROOT = Path(__file__).parents[2]
COMMANDS = (
    "envs",
    "play",
    "train",
    "self-play",
    "evaluate",
    "audit",
    "leaderboard",
    "data",
    "respond-multiwoz",
    "score-multiwoz",
)


def shell(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), environment.pop("PYTHONPATH", ""))))
    return subprocess.run(
        [sys.executable, "-m", "evals", *words],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env={**os.environ, **environment, "PYTHONPATH": path},
        timeout=120,
        check=False,
    )


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("td-gym: error: ")
    assert "Traceback" not in lines[0]
    return lines[0]


EVALUATE = ["evaluate", "--env", ENV, "--agent", "scripted", "--episodes", "2", "--out", "OUT"]
TRAIN = ["train", "cmpo", "--env", ENV, "--steps", "1", "--out", "OUT"]
PLAY = ["play", "--env", ENV]
SELF_PLAY = ["self-play", "--env", ENV, "--steps", "1", "--out", "OUT"]
BAD = {
    "no command": ([], "arguments are required"),
    "unknown command": (["evalute"], "evalute"),
    "an empty option": ([*EVALUATE, "--customer", ""], "Nothing is given behind --customer (an unset variable?)"),
    "an empty option with a sign": ([*EVALUATE, "--population="], "Nothing is given behind --population"),
    "an empty folder": (["leaderboard", ""], "Nothing is given behind leaderboard"),
    "a recording of nobody": ([*EVALUATE, "--record", "OUT.jsonl"], "--record is for models on servers"),
    "attempts at nobody": ([*EVALUATE, "--attempts", "2"], "--attempts is for models on servers"),
    "unknown option": ([*EVALUATE, "--epsiodes", "3"], "arguments: --epsiodes 3; see `td-gym evaluate --help`."),
    "missing option": (["evaluate", "--env", ENV, "--out", "OUT"], "--agent"),
    "unknown environment": ([*EVALUATE, "--env", "td_gym/FoodDispte-v0"], "FoodDispte"),
    "environment elsewhere": ([*EVALUATE, "--env", "CartPole-v1"], "CartPole"),
    "unknown agent": ([*EVALUATE, "--agent", "scriptd"], "scriptd"),
    "module without factory": ([*EVALUATE, "--agent", "json:make_agent"], "make_agent"),
    "no such module": ([*EVALUATE, "--agent", "no_such_module_here:make"], "no_such_module_here"),
    "factory of no agent": ([*EVALUATE, "--agent", "builtins:dict"], "dict"),
    "negative episodes": ([*EVALUATE, "--episodes", "-1"], "-1"),
    "zero episodes": ([*EVALUATE, "--episodes", "0"], "'0'"),
    "episodes in words": ([*EVALUATE, "--episodes", "ten"], "ten"),
    "negative seed": ([*EVALUATE, "--seed", "-3"], "-3"),
    "negative temperature": ([*EVALUATE, "--temperature", "-0.5"], "-0.5"),
    "temperature not finite": ([*EVALUATE, "--temperature", "nan"], "nan"),
    "a device that is not there": ([*EVALUATE, "--device", "abacus"], "There is no device 'abacus' on this machine"),
    "unknown split": ([*EVALUATE, "--split", "tset"], "tset"),
    "unknown customer": ([*EVALUATE, "--customer", "scripted_c"], "scripted_c"),
    "unknown population": ([*EVALUATE, "--population", "harsh"], "harsh"),
    "missing parquet": ([*EVALUATE, "--scenarios", "none.parquet"], "none.parquet"),
    "data of another scenario": ([*EVALUATE, "--data", "."], "data_dir"),
    "truncated parquet": ([*EVALUATE, "--scenarios", "TRUNCATED"], "cut.parquet"),
    "output in a file": ([*EVALUATE, "--out", "FILE/deep"], "'FILE/deep'"),
    "output in a device": ([*EVALUATE, "--out", "/dev/null/x"], "'/dev/null/x'"),
    "unknown method": (["train", "cpmo", *TRAIN[2:]], "cpmo"),
    "unknown preset": ([*TRAIN, "--preset", "hybird"], "hybird"),
    "unknown budget": ([*TRAIN, "--budget", "vouchers=0.3"], "vouchers"),
    "budget without limit": ([*TRAIN, "--budget", "voucher"], "NAME=LIMIT"),
    "negative budget": ([*TRAIN, "--budget", "voucher=-0.3"], "-0.3"),
    "negative steps": ([*TRAIN, "--steps", "-5"], "-5"),
    "no processes": ([*TRAIN, "--nproc", "0"], "'0'"),
    "train with a customer kept for evaluation": ([*TRAIN, "--customer", "scripted_b"], "kept for evaluation"),
    "customers that do not divide": ([*TRAIN, "--customers", "3", "--nproc", "2"], "3 customers"),
    "unknown model": ([*TRAIN, "--model", "nowhere"], "'nowhere'"),
    "unknown device": ([*TRAIN, "--device", "abacus"], "abacus"),
    "training on test": ([*TRAIN, "--split", "test"], "test"),
    "unknown training population": ([*TRAIN, "--population", "harsh"], "harsh"),
    "unknown training environment": ([*TRAIN, "--env", "nowhere"], "nowhere"),
    "unwritable run": ([*TRAIN, "--out", "FILE/deep"], "'FILE/deep'"),
    "a seat that nobody has": ([*TRAIN, "--seat", "courier"], "courier"),
    "a customer to learn by what it has not": ([*TRAIN, "--seat", "customer"], "ppo, grpo, dpo"),
    "a customer from service weights": (
        ["train", "grpo", *TRAIN[2:], "--seat", "customer"],
        "cannot play the customer",
    ),
    "an opponent in the same seat": ([*TRAIN, "--opponent", "tiny"], "cannot play the customer"),
    "a simulated customer that nobody hears": (
        [*TRAIN, "--opponent", "tiny", "--customer", "scripted"],
        "'scripted' would not speak",
    ),
    "strategies of a customer": (["train", "sb3-ppo", *TRAIN[2:], "--seat", "customer"], "takes no --seat"),
    "self-play without a customer": ([*SELF_PLAY, "--customer-model", "nowhere"], "'nowhere'"),
    "self-play of two service agents": ([*SELF_PLAY, "--customer-model", "tiny"], "cannot play the customer"),
    "self-play of an unknown customer method": (
        [*SELF_PLAY, "--customer-model", "x", "--customer-method", "cmpo"],
        "ppo, grpo, dpo",
    ),
    "self-play on test": ([*SELF_PLAY, "--customer-model", "x", "--split", "test"], "'test'"),
    "option without value": ([*TRAIN, "--option", "penalty"], "NAME=VALUE"),
    "unknown seat": ([*PLAY, "--seat", "courier"], "courier"),
    "play in an unknown environment": (["play", "--env", "x"], "x"),
    "play with an unknown customer": ([*PLAY, "--customer", "nobody"], "nobody"),
    "play saved in a file": ([*PLAY, "--save", "FILE/deep"], "'FILE/deep': Not a directory; choose another folder."),
    "play against an agent in its own seat": ([*PLAY, "--agent", "nosuch"], "--seat customer"),
    "play against an unknown agent": ([*PLAY, "--seat", "customer", "--agent", "nosuch"], "'nosuch'"),
    "play on a device that is not there": ([*PLAY, "--seat", "customer", "--device", "abacus"], "'abacus'"),
    "play on a device without an agent": ([*PLAY, "--device", "cuda"], "--device is of the agent"),
    "nothing to merge": (["leaderboard", "OUT"], "OUT"),
    "no results file": (["leaderboard", "FILE"], "FILE"),
    "unknown data": (["data", "multiwas", "--dest", "OUT"], "multiwas"),
    "data without a place": (["data", "multiwoz"], "--dest"),
    "data into a file": (["data", "multiwoz", "--dest", "FILE/deep"], "'FILE/deep'"),
    "mirror without an address": (["data", "multiwoz", "--dest", "OUT", "--mirror", "file:///etc"], "'file:///etc'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, named = BAD[case]
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("{}", encoding="utf-8")
    Path("cut.parquet").write_bytes(b"PAR1" + b"\x15\x04" * 40)
    words = [word.replace("TRUNCATED", "cut.parquet") for word in words]
    assert cli.main(words) == 2
    assert named in one_line(capsys)
    assert not list(tmp_path.glob("OUT*/*"))
    assert not Path("OUT.jsonl").exists()


def test_missing_training_extra_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert cli.main(["train", "cmpo", "--env", ENV, "--out", str(tmp_path / "o")]) == 2
    assert 'pip install "td-gym[train]"' in one_line(capsys)
    assert not (tmp_path / "o").exists()


BASE_ONLY = """
import sys
EXTRAS = {
    'torch', 'transformers', 'safetensors', 'peft',
    'matplotlib', 'rich', 'rapidfuzz', 'sacrebleu', 'sacremoses', 'pyarrow', 'openai'
}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in EXTRAS:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Refuse())
from evals.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_base_install_evaluates_scripted_agents(tmp_path: Path) -> None:
    words = ["evaluate", "--env", ENV, "--agent", "scripted", "--episodes", "3", "--out", str(tmp_path / "o")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BASE_ONLY]
    done = subprocess.run([*command, *words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    board = [*command, "leaderboard", str(tmp_path / "o"), "--out", str(tmp_path / "board.md")]
    done = subprocess.run(board, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "td-gym[evals]" in done.stdout
    scores = ["score-multiwoz", "predictions.json", "--data", ".", "--out", str(tmp_path / "scores.json")]
    served = [*words, "--agent", "openai:fake@http://127.0.0.1:9/v1"]
    wishes = (([*words, "--agent", "tiny"], "td-gym[train]"), (scores, "td-gym[evals]"), (served, "td-gym[llm]"))
    for wish, extra in wishes:
        done = subprocess.run([*command, *wish], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert extra in done.stderr


def test_evaluate_as_a_user_would(tmp_path: Path) -> None:
    words = ["evaluate", "--env", ENV, "--agent", "scripted", "--agent", "do_nothing", "--episodes", "5", "--seed", "7"]
    done = shell(*words, "--out", str(tmp_path / "one"), "--save-transcripts", "2")
    assert done.returncode == 0, done.stderr
    assert "satisfaction [t]" in done.stdout
    assert "bootstrap over dialogues" in done.stdout
    results = json.loads((tmp_path / "one" / "results.json").read_text(encoding="utf-8"))
    assert set(results["agents"]) == {"scripted", "do_nothing"}
    lines = (tmp_path / "one" / "dialogues.jsonl").read_text(encoding="utf-8").strip().split("\n")
    records = [json.loads(line) for line in lines]
    assert [record["seed"] for record in records] == [*range(7, 12)] * 2
    assert len(list((tmp_path / "one" / "transcripts").iterdir())) == 4
    for path in (tmp_path / "one").rglob("*.*"):
        assert str(tmp_path) not in path.read_text(encoding="utf-8")
    again = shell(*words, "--out", str(tmp_path / "two"))
    assert again.returncode == 0
    second = json.loads((tmp_path / "two" / "results.json").read_text(encoding="utf-8"))
    assert second["agents"] == results["agents"]
    assert (tmp_path / "two" / "dialogues.jsonl").read_bytes() == (tmp_path / "one" / "dialogues.jsonl").read_bytes()


@pytest.mark.parametrize("env", env_ids())
def test_results_hold_how_the_service_was_conducted(
    env: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--env", env, "--agent", "scripted", "--agent", "random", "--episodes", "30"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    assert "engagement" not in capsys.readouterr().out
    agents = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["agents"]
    scripted, random = ({name: metric["mean"] for name, metric in agents[who]["metrics"].items()} for who in agents)
    assert 1 >= scripted["engagement"] > random["engagement"] > 0
    assert 1 >= scripted["goal_reward"] > random["goal_reward"] >= 0
    assert scripted["sop_breaches"] < 0.05 < 1 < random["sop_breaches"]
    assert "consistency" not in scripted  # neither plans
    capsys.readouterr()
    assert cli.main(["leaderboard", str(tmp_path), "--column", "engagement"]) == 0
    shown = capsys.readouterr()
    assert "| engagement [t] |" in shown.out
    assert shown.err == ""
    asked = ["--column", "consistency", "--column", "engagement", "--column", "consistency"]
    assert cli.main(["leaderboard", str(tmp_path), *asked]) == 0
    assert capsys.readouterr().err == "note: no agent in these results has consistency\n"
    assert cli.main(["leaderboard", str(tmp_path), "--column", "engagment"]) == 2
    assert "Did you mean 'engagement'?" in one_line(capsys)


def test_an_earlier_evaluation_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--env", ENV, "--episodes", "1", "--out", str(tmp_path), "--save-transcripts", "1", "--agent"]
    assert cli.main([*words, "scripted"]) == 0
    (tmp_path / "transcripts" / "notes.txt").write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    capsys.readouterr()
    assert cli.main([*words, "random"]) == 2
    assert "--force" in one_line(capsys)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert cli.main([*words, "random", "--force"]) == 0
    assert set(json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["agents"]) == {"random"}
    assert {path.name for path in (tmp_path / "transcripts").iterdir()} == {"random.md", "random.html", "notes.txt"}


@pytest.mark.parametrize("more", [[], ["--force"], ["--save-transcripts", "1"]], ids=" ".join)
def test_transcripts_that_no_evaluation_wrote_are_kept(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "transcripts" / "interviews.md"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    words = ["evaluate", "--env", ENV, "--episodes", "1", "--out", str(tmp_path), "--agent", "random"]
    assert cli.main([*words, *more]) == 2
    assert "transcripts' is not empty" in one_line(capsys)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text(encoding="utf-8") == "mine"


def test_an_own_agent_and_its_crash(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class A:\n"
        "    def reset(self, seed=None): pass\n"
        "    def act(self, observation, messages): return 'I am sorry to hear that.'\n"
        "class B(A):\n"
        "    def act(self, observation, messages): return 1 / 0\n"
        "class C(A):\n"
        "    def act(self, observation, messages): return 'I am sorry \\ud83d'\n",
        encoding="utf-8",
    )
    words = ["evaluate", "--env", ENV, "--episodes", "2", "--out", str(tmp_path / "o"), "--agent"]
    fine = shell(*words, "mine:A", cwd=tmp_path)
    assert fine.returncode == 0, fine.stderr
    assert "mine:A" in fine.stdout
    halved = shell(*words, "mine:C", "--force", cwd=tmp_path)
    assert halved.returncode == 0, halved.stderr
    assert '"text": "I am sorry ?"' in (tmp_path / "o" / "dialogues.jsonl").read_text(encoding="utf-8")
    crash = shell(*words, "mine:B", "--force", cwd=tmp_path)
    assert crash.returncode == 2
    fault = "td-gym: error: Agent 'mine:B' failed in dialogue 0: ZeroDivisionError: division by zero.\n"
    assert crash.stderr == fault
    assert '"text": "I am sorry ?"' in (tmp_path / "o" / "dialogues.jsonl").read_text(encoding="utf-8")
    late = shell(*words, "mine:A", "--agent", "random", "--agent", "mine:B", "--force", cwd=tmp_path)
    assert late.returncode == 2
    assert late.stderr == f"{str(tmp_path / 'o')!r} holds the results of mine:A, random.\n" + fault
    results = json.loads((tmp_path / "o" / "results.json").read_text(encoding="utf-8"))
    assert list(results["agents"]) == ["mine:A", "random"]
    assert (tmp_path / "o" / "dialogues.jsonl").read_text(encoding="utf-8").count("\n") == 4


def test_the_console_script_finds_an_agent_in_the_working_folder(tmp_path: Path) -> None:
    script, work = tmp_path / "bin" / "td-gym", tmp_path / "work"
    for folder in (script.parent, work / "agents"):
        folder.mkdir(parents=True)
    script.write_text("import sys\nfrom evals.cli import main\nsys.exit(main())\n", encoding="utf-8")
    agent = (
        "class A:\n    def reset(self, seed=None): pass\n    def act(self, observation, messages): return 'Hello.'\n"
    )
    (work / "my_agents.py").write_text(agent, encoding="utf-8")
    (work / "agents" / "__init__.py").write_text("raise ImportError('a package of the user')\n", encoding="utf-8")
    words = ["evaluate", "--env", ENV, "--agent", "my_agents:A", "--episodes", "1", "--out", "o"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, cwd=work, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "my_agents:A" in done.stdout


def test_leaderboard_merges_results_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, agent in (("a", "scripted"), ("b", "scripted"), ("c", "always_voucher")):
        words = ["evaluate", "--env", ENV, "--agent", agent, "--episodes", "3", "--out", str(tmp_path / name)]
        assert cli.main(words) == 0
    capsys.readouterr()
    folders = [str(tmp_path / name) for name in "abc"]
    assert cli.main(["leaderboard", *folders]) == 0
    table = capsys.readouterr().out
    assert "scripted (b)" in table
    assert "always_voucher" in table
    assert cli.main(["leaderboard", *folders, "--out", str(tmp_path / "board.md")]) == 0
    assert (tmp_path / "board.md").read_text(encoding="utf-8") == table
    assert (tmp_path / "board.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path) not in table


def test_leaderboard_searches_below_a_folder_and_takes_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for agent, place in (("scripted", "t/compare"), ("random", "t/cmpo/evaluation"), ("oracle", "t/1/2/3/4")):
        assert cli.main(["evaluate", "--env", ENV, "--agent", agent, "--episodes", "1", "--out", place]) == 0
    capsys.readouterr()
    assert cli.main(["leaderboard", "t", "t/compare/results.json", str(tmp_path / "t")]) == 0
    table = capsys.readouterr().out
    assert (table.count("| scripted"), table.count("| random"), table.count("| oracle")) == (1, 1, 0)


def test_envs_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["envs"]) == 0
    listed = capsys.readouterr().out
    for word in (ENV, "service, customer", "voucher", "0.3", "scripted, scripted_b", "hard, easy"):
        assert word in listed


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_description_defaults_and_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"td-gym {command}" in text.split("example", 1)[1]
    assert text.count("default") >= {"envs": 0, "leaderboard": 1, "data": 1, "score-multiwoz": 1}.get(command, 4)


def play(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    return cli.main(["play", "--env", ENV, *words])


def test_a_person_in_the_service_seat_is_scored_as_human(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ":help\n" + "I am sorry to hear that. Could you tell me what was wrong?\n" * 15
    for seed in ("1", "2"):
        assert play(["--seed", seed, "--save", str(tmp_path)], lines, monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "Your briefing (service)" in shown
    assert "The conversation is over" in shown
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    metrics = results["agents"]["human"]["metrics"]
    assert metrics["satisfaction"]["n"] == metrics["engagement"]["n"] == metrics["sop_breaches"]["n"] == 2
    source = results["provenance"]
    assert (source["episodes"], source["seed"], source["seeds"], source["device"]) == (2, 1, [1, 2], "cpu")
    assert cli.main(["leaderboard", str(tmp_path)]) == 0
    assert "| human |" in capsys.readouterr().out


def test_conversations_that_are_saved_are_of_new_customers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ([], ["--seed", "4"], []):
        assert play([*words, "--save", str(tmp_path)], "<think>\n", monkeypatch) == 0
    source = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["provenance"]
    assert source["seeds"] == [0, 4, 5]
    assert source["interval"] == "95 % bootstrap over dialogues"
    assert play(["--seed", "4", "--save", str(tmp_path)], "<think>\n", monkeypatch) == 0
    source = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["provenance"]
    assert source["interval"] == "95 % bootstrap over 3 cases, some held more than once"


@pytest.mark.parametrize("env", env_ids())
def test_the_tool_that_help_calls_is_one_of_the_environment(
    env: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(["--env", env], ":quit\n", monkeypatch) == 0
    shown = capsys.readouterr().out
    example = shown.partition("for example ")[2].partition(" in front")[0]
    assert shown.count(f"A tool ({', '.join(make_scenario(env).tools)})") == 1
    assert play(["--env", env], f":help\n{example} One moment, please.\n:quit\n", monkeypatch) == 0
    shown = capsys.readouterr().out
    assert shown.count(example) == 2
    assert "format_error" not in shown


def test_a_person_in_the_customer_seat_rates_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--seat", "customer", "--save", str(tmp_path)]
    assert play(words, "My food was cold.\nThank you, bye. [end:4]\n", monkeypatch) == 0
    assert "service: " in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["customer"] == "human"
    assert results["agents"]["scripted"]["metrics"]["satisfaction"]["mean"] == pytest.approx(4.0)
    assert play(["--save", str(tmp_path)], ":quit\n", monkeypatch) == 2
    assert "another --save folder" in one_line(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--env", "td_gym/Sales-v0"], "of env 'td_gym/FoodDispute-v0', not 'td_gym/Sales-v0'"),
        (["--split", "train"], "of split 'test', not 'train'"),
        (["--customer", "scripted_b"], "of customer 'scripted', not 'scripted_b'"),
        (["--population", "easy"], "of population 'hard', not 'easy'"),
        (["--seat", "customer"], "of agent 'human', not 'scripted'"),
    ],
)
def test_conversations_that_differ_in_their_setting_are_not_scored_together(
    words: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save = ["--save", str(tmp_path)]
    assert play(save, "<think>\n", monkeypatch) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert play([*save, *words], "<think>\n", monkeypatch) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"holds dialogues {named}; choose another --save folder." in captured.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_conversations_of_another_version_are_not_scored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(["--save", str(tmp_path)], "<think>\n", monkeypatch) == 0
    path = tmp_path / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    results["provenance"]["scenario_version"] = "0.9"
    path.write_text(json.dumps(results), encoding="utf-8")
    capsys.readouterr()
    assert play(["--save", str(tmp_path)], "<think>\n", monkeypatch) == 2
    assert "scenario_version '0.9'" in one_line(capsys)


@pytest.mark.parametrize("lost", ["dialogues.jsonl", "results.json"])
def test_half_of_what_was_saved_is_not_added_to(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(["--save", str(tmp_path)], "<think>\n", monkeypatch) == 0
    (tmp_path / lost).unlink()
    capsys.readouterr()
    assert play(["--save", str(tmp_path)], "<think>\n", monkeypatch) == 2
    assert f"has no {lost} beside it; choose another --save folder." in one_line(capsys)


class Planner:
    """An agent with one plan."""

    def __init__(self) -> None:
        self.planned = ["empathise"]

    def reset(self, seed: int | None = None) -> None:
        """There is nothing to start afresh."""

    def act(self, observation: object, messages: object) -> str:
        return "I am sorry to hear that."


def test_a_person_in_the_customer_seat_is_told_no_plan_but_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--seat", "customer", "--agent", "tests.evals.test_cli:Planner", "--save", str(tmp_path)]
    assert play(words, "My food was cold.\nThank you, bye. [end:4]\n", monkeypatch) == 0
    assert "empathise" not in capsys.readouterr().out.partition("The conversation is over")[0]
    (dialogue,) = read_dialogues(tmp_path / "dialogues.jsonl")
    assert [turn.seat for turn in dialogue.turns] == ["customer", "expert", "service", "customer"]
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["agents"]["tests.evals.test_cli:Planner"]["metrics"]["consistency"]["mean"] == 1.0


class Stateful:
    """An agent that numbers its messages of a conversation."""

    def reset(self, seed: int | None = None) -> None:
        self.said = 0

    def act(self, observation: object, messages: object) -> str:
        self.said += 1
        return f"This is message {self.said}."


def test_an_agent_is_reset_before_each_conversation_with_a_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--seat", "customer", "--agent", "tests.evals.test_cli:Stateful", "--episodes", "2"]
    assert play(words, "My food was cold.\nThank you, bye. [end:4]\n" * 2, monkeypatch) == 0
    assert capsys.readouterr().out.count("service: This is message 1.") == 2


class Mute(Stateful):
    def act(self, observation: object, messages: object) -> str:
        return None  # type: ignore[return-value]


class Crashing(Stateful):
    def act(self, observation: object, messages: object) -> str:
        raise ValueError("first line\nsecond line")


class Unready(Stateful):
    def reset(self, seed: int | None = None) -> None:
        raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mute", "returned a NoneType, not text, in dialogue 3."),
        ("Crashing", "failed in dialogue 3: ValueError: first line second line."),
        ("Unready", "failed in dialogue 3: RuntimeError: out of order."),
    ],
)
def test_an_agent_that_fails_a_person_is_named(
    agent: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--seat", "customer", "--agent", f"tests.evals.test_cli:{agent}", "--seed", "3"]
    assert play(words, "My food was cold.\nThank you, bye. [end:4]\n", monkeypatch) == 2
    assert one_line(capsys) == f"td-gym: error: Agent 'tests.evals.test_cli:{agent}' {said}"


@pytest.mark.parametrize("said", [":quit\n", ""])
def test_leaving_early_scores_nothing(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert play(["--save", str(tmp_path)], said, monkeypatch) == 0
    assert "not scored" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["agents", "personas"])
def test_a_shadowing_package_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("", encoding="utf-8")
    done = shell("envs", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"'{name}'" in done.stderr
    assert "another distribution" in done.stderr


def test_other_value_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(argv: object) -> int:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(cli, "_run", broken)
    with pytest.raises(ValueError, match="a fault of ours"):
        cli.main(["envs"])


def test_interrupt_is_one_line_and_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(argv: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main(["envs"]) == 130
    assert "stopped" in one_line(capsys)


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(argv: object) -> int:
        raise OSError(28, "No space left on device", "runs/x")

    monkeypatch.setattr(cli, "_run", full)
    assert cli.main(["envs"]) == 2
    assert "No space is left" in one_line(capsys)
