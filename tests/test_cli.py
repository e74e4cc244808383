"""The command line: bad input is one clear line, exit code 2, before any compile, and leaves nothing behind."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from softrl import cli, cli_parts, cli_serve, cli_sweep, cli_table
from softrl.agents import ALGORITHMS, algorithm
from softrl.envs import EnvConfig
from softrl.learner import LearnerConfig
from softrl.learner.config import SamplingConfig
from softrl.replay import ReplayHypers
from softrl.serve.server import ServeConfig
from softrl.sweep.search import METHODS
from softrl.training.config import Config, TrainingConfig
from tests.refused import explained

BAD = [
    # (arguments, words that the line must hold)
    (["trian"], ["trian", "did you mean 'train'"]),
    (["train", "brax/halfcheeta"], ["brax/halfcheeta", "did you mean 'brax/halfcheetah'"]),
    (["train", "halfcheetah"], ["halfcheetah", "did you mean 'brax/halfcheetah'"]),
    (["train", "probe/deth"], ["probe/deth", "did you mean 'probe/death'"]),
    (["train", "--gama", "0.9"], ["--gama", "--gamma"]),
    (["train", "--numenvs", "8"], ["--numenvs", "--num-envs"]),
    (["train", "--num-envs", "x"], ["--num-envs"]),
    (["train", "--num-envs", "0"], ["num_envs", "[1, inf]", "0"]),
    (["train", "--num-envs", "-4"], ["num_envs"]),
    (["train", "--num-envs", "1.5"], ["--num-envs"]),
    (["train", "--episode-length", "0"], ["episode_length"]),
    (["train", "--action-repeat", "0"], ["action_repeat"]),
    (["train", "--steps", "0"], ["steps"]),
    (["train", "--steps", "many"], ["--steps"]),
    (["train", "--seed", "-1"], ["seed"]),
    (["train", "--seeds", "0"], ["seeds"]),
    (["train", "--batch-size", "0"], ["batch_size"]),
    (["train", "--batch-size", "4096", "--replay-size", "2048"], ["batch_size 4096", "replay_size 2048", "raise"]),
    (["train", "--replay-size", "100", "--batch-size", "10"], ["replay_size 100", "num_envs", "raise"]),
    (["train", "--n-step", "0"], ["n_step"]),
    (["train", "--updates-per-step", "0"], ["updates_per_step"]),
    (["train", "--eval-episodes", "0"], ["eval_episodes"]),
    (["train", "--chunk-steps", "0"], ["chunk_steps"]),
    (["train", "--replay-shards", "3"], ["replay_shards 3", "divide"]),
    (["train", "--data-shards", "2"], ["data_shards 2", "replay_shards 1"]),
    (["train", "--gamma", "1"], ["gamma", "[0, 1)", "1.0"]),
    (["train", "--gamma", "nan"], ["gamma", "nan"]),
    (["train", "--gamma", "-0.1"], ["gamma"]),
    (["train", "--tau", "0"], ["tau", "(0, 1]"]),
    (["train", "--tau", "2"], ["tau"]),
    (["train", "--policy-lr", "-1"], ["policy_lr"]),
    (["train", "--critic-lr", "nan"], ["critic_lr", "nan"]),
    (["train", "--temperature", "0"], ["temperature"]),
    (["train", "--target-sigma", "0"], ["target_sigma"]),
    (["train", "--reward-scale", "0"], ["reward_scale"]),
    (["train", "--max-grad-norm", "0"], ["max_grad_norm"]),
    (["train", "--weight-decay", "-1"], ["weight_decay"]),
    (["train", "--recency-floor", "0"], ["recency_floor"]),
    (["train", "--activation", "rellu"], ["--activation"]),
    (["train", "--critic-reduction", "max"], ["--critic-reduction"]),
    (["train", "--member-map", "pmap"], ["--member-map"]),
    (["train", "--log-std-min", "3"], ["log_std_min 3", "log_std_max"]),
    (["train", "--width", "0"], ["width"]),
    (["train", "--policy-widths", "400,0"], ["policy_widths", "400,0", "commas"]),
    (["train", "--policy-widths", "64,32", "--residual"], ["policy_widths must be equal", "'64,32'", "residual"]),
    (["train", "--critic-widths", "64,32", "--residual"], ["critic_widths must be equal", "'64,32'", "residual"]),
    (["train", "--norm", "batch", "--value-network"], ["norm batch", "value network", "layer"]),
    (["train", "--norm", "batch", "--algorithm", "mpo"], ["--norm", "none", "layer", "rms"]),
    (["train", "--no-layer-norm"], ["unknown setting --no-layer-norm", "did you mean --norm?"]),
    (["train", "--preset", "clasic"], ["clasic", "did you mean 'classic'"]),
    (["train", "probe/death", "--target-entropy", "1"], ["target_entropy 1", "0.683636"]),
    (["train", "probe/death", "--target-entropy", "-1", "--target-sigma", "0.1"], ["not both"]),
    (["train", "probe/death", "--target-sigma", "5"], ["target_sigma 5", "out of reach"]),
    (["train", "probe/death", "--replay-size", "1000000000000"], ["does not fit", "lower replay_size"]),
    (["train", "probe/death", "--backend", "sprng", "brax"], ["brax"]),
    (["train", "brax/ant", "--backend", "sprng"], ["sprng", "did you mean 'spring'"]),
    (["train", "brax/swimmer", "--backend", "mjx"], ["swimmer", "generalized"]),
    (["train", "no_such_module:make_env"], ["no module 'no_such_module'", "install it"]),
    (["train", "json:make_env"], ["no 'make_env' in module 'json'"]),
    (["train", "gym/Pendulum-v1", "--env-kwargs", "[1]"], ["env_kwargs", '{"gravity": 5.0}', "[1]"]),
    (["train", "gym/Pendulum-v1", "--env-kwargs", '{"gravity": 5.0}'], ["gym/Pendulum-v1", "gravity"]),
    (["train", "gym/CartPole-v1", "--algorithm", "mpo"], ["mpo learns continuous actions", "Discrete(n=2)"]),
    (["eval", "no-such-run"], ["no-such-run", "not a run"]),
    (["eval", "no-such-run", "--episodes", "0"], ["episodes must be in [1, inf], got 0"]),
    (["render", "no-such-run"], ["not a run"]),
    (["render", "no-such-run", "--format", "avi"], ["avi", "mp4, gif or html"]),
    (["envs", "all"], ["takes no arguments"]),
    (["zoo", "all"], ["takes no arguments", "softrl eval zoo/NAME"]),
]


@pytest.mark.parametrize("arguments, words", BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_explained_and_leaves_nothing_behind(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explained(arguments, words, capsys)
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_is_a_file_is_refused_and_the_file_stays(tmp_path, capsys):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for out in (file, file / "run"):
        explained(["train", "probe/death", "--out", str(out)], ["is not a directory"], capsys)
    assert file.read_text() == "mine"


def test_a_user_error_in_a_real_process_is_one_line_without_a_traceback(user_environment, tmp_path):
    command = [sys.executable, "-m", "softrl.cli", "train", "brax/halfcheeta"]
    root = str(Path(cli.__file__).parents[1])
    done = subprocess.run(
        command, env=user_environment | {"PYTHONPATH": root}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("softrl: unknown environment") and done.stderr.count("\n") == 1


def test_help_shows_the_presets_defaults(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "probe/death", "--preset", "classic", "--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--num-envs INT Step this many environments together, N. (default: 1)" in text


def sentences(kind: type) -> dict[str, str]:
    """The documentation of every field of a dataclass, which `--help` shows; empty where there is none."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found, lines = {}, definition.body
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[line.target.id] = after.value.value if said else ""
    return found


PARTS = [cli.TrainOptions, EnvConfig, ReplayHypers, TrainingConfig]
PARTS += [part for name in ALGORITHMS for part in (algorithm(name).config, algorithm(name).hypers)]
SERVED = [cli_serve.ServeOptions, ServeConfig, SamplingConfig, ReplayHypers]
SERVED += [part for name in ALGORITHMS for part in (algorithm(name).config, algorithm(name).hypers)]
COMMANDS = {
    "train": PARTS,
    "sweep": [cli_sweep.SweepOptions],
    "best": [cli_sweep.BestOptions],
    "eval": [cli.EvalOptions],
    "render": [cli.RenderOptions],
    "report": [cli.ReportOptions],
    "table": [cli_table.TableOptions],
    "export": [cli_serve.ExportOptions],
    "serve": SERVED,
}
"""Commands with settings, and the dataclasses whose fields those are."""

EACH = sorted({kind for kinds in COMMANDS.values() for kind in kinds} | set(METHODS.values()), key=lambda k: k.__name__)


@pytest.mark.parametrize("kind", EACH, ids=lambda kind: kind.__name__)
def test_the_help_of_every_setting_is_a_sentence(kind):
    assert is_dataclass(kind)
    for name, said in sentences(kind).items():
        assert re.fullmatch(r"[A-Z].*\.", said, flags=re.DOTALL) and len(said.split()) >= 3, f"{name}: {said!r}"


@pytest.mark.parametrize("kind", [Config, LearnerConfig], ids=lambda kind: kind.__name__)
def test_the_parts_of_a_config_are_explained_too(kind):
    found = {name: said for name, said in sentences(kind).items() if said}
    assert {"algorithm", "agent", "hypers"} <= found.keys()
    for said in [*found.values(), *cli_parts._HELP.values()]:
        assert re.fullmatch(r"[A-Z].*\.", said) and len(said.split()) >= 3, said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_of_a_command_is_one_whose_help_is_looked_at(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    flags = set(re.findall(r"--([a-z][a-z-]*)", re.sub(r"\s--", " --", capsys.readouterr().out)))
    known = {name.replace("_", "-") for kind in COMMANDS[command] for name in sentences(kind)}
    known |= {f"no-{name}" for name in known} | {"help", "algorithm", "from"}
    assert flags <= known, flags - known


def test_envs_lists_what_train_takes(capsys):
    with pytest.raises(SystemExit):
        cli.main(["envs"])
    assert {"brax/halfcheetah", "brax/humanoid", "probe/bounded-lq"} <= set(capsys.readouterr().out.split())
