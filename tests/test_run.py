"""A run on disk: killed, stopped, grown or damaged, the same command goes on to the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import softrl
from softrl import cli
from softrl import run as running
from softrl.config import change
from softrl.run import load, train
from softrl.storage import durable, metrics
from softrl.training import evaluate as evaluation
from softrl.training import opening, programs
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).parents[1]
FLAGS = [
    word
    for name, value in (tiny.SIZES | {"steps": 4096, "n_step": 1}).items()
    if name != "env"
    for word in (f"--{name.replace('_', '-')}", str(value))
] + ["--n-step-entropy"]
"""So that the command's program is that of `tiny.config()`."""


def truth(directory: Path) -> list[dict]:
    """Every line of metrics.jsonl without what the clock decides."""
    return [{name: part for name, part in line.items() if name != "timing"} for line in metrics.read(directory)]


def lines(directory: Path) -> list[str]:
    """`truth` as text, in which NaN equals NaN."""
    return [json.dumps(line, sort_keys=True) for line in truth(directory / "metrics.jsonl")]


def words(directory: Path) -> list[str]:
    """The command that is killed, stopped and repeated."""
    return ["train", "probe/bounded-lq", *FLAGS, "--out", str(directory)]


def here(directory: Path) -> int:
    """The same command in this process, whose programs are compiled already. Returns: its exit code."""
    with pytest.raises(SystemExit) as left:
        cli.main(words(directory))
    return left.value.code


def start(directory: Path, environment: dict[str, str]) -> subprocess.Popen:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "softrl.cli", *words(directory)]
    with open(directory.with_suffix(".log"), "w") as log:
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def finish(directory: Path, process: subprocess.Popen) -> str:
    """Waits for the end of a process and returns what the last one on this directory said."""
    process.wait(timeout=300)
    return directory.with_suffix(".log").read_text()


def wait_for_lines(directory: Path, process: subprocess.Popen, count: int) -> None:
    """Returns when the run has written so many lines, or has ended."""
    path = directory / "metrics.jsonl"
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < count):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The undisturbed run of the command that the others disturb."""
    directory = tmp_path_factory.mktemp("calm") / "run"
    assert here(directory) == 0
    return lines(directory)


def kill_until_done(directory: Path, environment: dict[str, str], kills: int, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(kills):
        process = start(directory, environment)
        path = directory / "metrics.jsonl"
        done = path.read_bytes().count(b"\n") if path.exists() else 0
        wait_for_lines(directory, process, done + dice.randint(0, 5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(directory, environment)
    output = finish(directory, process)
    assert process.returncode == 0, output


def test_a_killed_run_that_goes_on_differently_would_be_another_run(calm, user_environment, tmp_path):
    process = start(tmp_path / "run", user_environment)
    wait_for_lines(tmp_path / "run", process, 3)
    process.kill()
    process.wait()
    assert here(tmp_path / "run") == 0
    assert lines(tmp_path / "run") == calm


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_ten_kills_at_random_moments_leave_no_trace(calm, user_environment, tmp_path, seed):
    kill_until_done(tmp_path / "run", user_environment, kills=10, seed=seed + 1)
    assert lines(tmp_path / "run") == calm


@pytest.mark.parametrize(
    "number, code", [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_stopped_run_saves_says_so_and_goes_on(calm, user_environment, tmp_path, number, code):
    process = start(tmp_path / "run", user_environment)
    wait_for_lines(tmp_path / "run", process, 3)
    process.send_signal(number)
    output = finish(tmp_path / "run", process)
    if process.returncode != 0:  # it may have finished just before the signal
        assert (process.returncode, "stopped and saved" in output) == (code, True), output
    assert here(tmp_path / "run") == 0
    assert lines(tmp_path / "run") == calm


def interrupt(steps: int, record: dict) -> None:
    """Ctrl-C in the middle of a run: the real signal, to this process."""
    if steps == 256:
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_saves_and_then_stops_the_callers_next_line_too(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=f"after 256 steps.*goes on: {tmp_path}"):
        train(tiny.config(), out=tmp_path, progress_fn=interrupt)
    with pytest.raises(KeyboardInterrupt) as stop:
        train(tiny.config(), progress_fn=interrupt)
    in_memory = stop.value.result
    assert in_memory.stopped_by == signal.SIGINT and in_memory.metrics[-1]["env_steps"] == 256
    went_on, saved = in_memory.resume(), train(tiny.config(), out=tmp_path)
    assert tiny.same_bits(went_on.state, saved.state)
    assert [line["train"] for line in went_on.metrics] == [line["train"] for line in saved.metrics]


def test_the_command_without_an_environment_goes_on_with_the_run_that_is_there(tmp_path):
    members = [{"seed": 3, "critic_lr": 1e-3}, {"seed": 9, "gamma": 0.9}]
    train(tiny.config(seeds=2, steps=256), out=tmp_path, members=members)
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--out", str(tmp_path), "--steps", "512", "--no-video"])
    assert left.value.code == 0
    assert [line["env_steps"] for line in truth(tmp_path / "metrics.jsonl")] == [0, 256, 512]
    assert json.loads((tmp_path / "config.json").read_text())["members"] == members


@pytest.mark.filterwarnings("ignore")  # what TensorBoard warns of is not ours
def test_a_script_sees_progress_and_finds_curve_and_report_unless_it_wants_silence(tmp_path, capsys):
    run = train(tiny.config(), out=tmp_path, sinks=["tensorboard"])
    shown = capsys.readouterr().out
    assert "100 %  512 of 512 steps" in shown and "report" in shown
    assert {"curve.png", "report.html", "tensorboard"} <= {path.name for path in tmp_path.iterdir()}
    run.resume(steps=1024, progress=False)
    assert "".join(capsys.readouterr()) == ""
    with pytest.raises(softrl.ConfigError, match="tensorboard write into the run's directory: give out="):
        train(tiny.config(), sinks="tensorboard")


def test_a_curve_that_cannot_be_written_loses_no_run(tmp_path, capsys):
    (tmp_path / "curve.png").mkdir()
    run = train(tiny.config(), out=tmp_path)
    assert run.metrics[-1]["env_steps"] == 512 and "no curve or report" in capsys.readouterr().out


def test_a_run_plots_and_evaluates_itself_and_is_shown_in_five_lines(tmp_path):
    run = train(tiny.config())
    assert run.plot(tmp_path / "curve.svg").read_text().startswith("<?xml")
    best = max(max(line["eval"]["return_mean"]) for line in run.metrics)
    result = run.evaluate(episodes=2)
    np.testing.assert_allclose(result.deterministic_return.mean(), best, rtol=1e-5)  # the episodes that chose it
    assert result.stochastic_length.shape == (2,)
    assert len(repr(run).splitlines()) == 5 and len(repr(run)) < 800
    with pytest.raises(softrl.ConfigError, match="no body to film"):
        run.render(tmp_path / "film.mp4")


def test_the_same_command_on_a_finished_run_changes_nothing(tmp_path):
    config = tiny.config()
    first = train(config, out=tmp_path)
    again = train(config, out=tmp_path)
    assert lines(tmp_path) == [json.dumps(line, sort_keys=True) for line in truth(tmp_path / "metrics.jsonl")]
    assert tiny.same_bits(first.state, again.state)


def test_more_steps_go_on_to_the_state_of_a_longer_run(tmp_path):
    long = train(tiny.config(steps=1024))
    train(tiny.config(steps=512), out=tmp_path)
    grown = load(tmp_path).resume(steps=1024)
    assert tiny.same_bits(long.state, grown.state)
    assert grown.metrics[-1]["state_sha256"] == long.metrics[-1]["state_sha256"]


def test_a_run_in_memory_goes_on_to_the_state_of_a_longer_run():
    long = train(tiny.config(steps=1024))
    short = train(tiny.config(steps=512))
    assert tiny.same_bits(short.resume(steps=1024).state, long.state)


def test_a_longer_run_in_memory_learns_at_the_rates_of_one_in_a_directory(tmp_path):
    falls = tiny.config(rate_end=0.1, steps=256)
    saved = train(falls, out=tmp_path).resume(steps=512)
    assert tiny.same_bits(train(falls).resume(steps=512).state, saved.state)


def test_schedules_that_end_at_a_given_step_are_those_of_the_run_that_ends_there():
    short = train(tiny.config(rate_end=0.1, steps=256, schedule_steps=512))
    assert tiny.same_bits(short.resume(steps=512).state, train(tiny.config(rate_end=0.1, steps=512)).state)


def test_other_settings_in_the_same_directory_are_refused_by_name(tmp_path):
    train(tiny.config(), out=tmp_path)
    before = lines(tmp_path), (tmp_path / "config.json").read_text()
    for changes, name in [({"gamma": 0.5}, "gamma"), ({"width": 8}, "width"), ({"seed": 1}, "seed")]:
        with pytest.raises(softrl.ConfigError, match=f"{name} .*there.*now"):
            train(tiny.config(**changes), out=tmp_path)
    with pytest.raises(softrl.ConfigError, match="may grow, not shrink"):
        train(tiny.config(steps=128), out=tmp_path)
    assert (lines(tmp_path), (tmp_path / "config.json").read_text()) == before


def test_a_damaged_newest_checkpoint_is_passed_over_and_the_run_ends_the_same(tmp_path):
    config = tiny.config()
    undisturbed = train(config, out=tmp_path)
    newest = max(
        (path for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )
    victim = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    events = []
    again = train(config, out=tmp_path, listener=events.append)
    resumed = next(event for event in events if event["event"] == "resumed")
    assert len(resumed["rejected"]) == 1 and newest.name in resumed["rejected"][0]
    assert tiny.same_bits(undisturbed.state, again.state)


def test_a_longer_run_whose_checkpoints_are_all_damaged_leaves_its_directory_as_it_was(tmp_path):
    train(tiny.config(), out=tmp_path)
    before = (tmp_path / "config.json").read_text()
    for path in (tmp_path / "checkpoints").glob("[0-9]*/**/*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(softrl.CheckpointError):
        train(tiny.config(steps=1024), out=tmp_path)
    assert (tmp_path / "config.json").read_text() == before


def test_the_best_policy_is_judged_at_the_end_by_episodes_that_did_not_choose_it():
    """Two of many evaluations on the same episodes: the highest is the luckiest, and its own return says so."""
    run = softrl.train(tiny.config(seeds=2))
    *before, last = run.metrics
    assert all("best" not in line for line in before)
    env, agent = run.assembled.evaluation, run.assembled.program.agent
    evaluate = jax.jit(lambda key: evaluation.evaluate(env, agent, run.best_policy, key))
    chosen, fresh = (evaluate(evaluation.evaluation_key(seed)).deterministic_return.mean() for seed in (0, 1))
    np.testing.assert_allclose(last["best"]["return_mean"], fresh, rtol=1e-5)
    np.testing.assert_allclose(max(max(line["eval"]["return_mean"]) for line in run.metrics), chosen, rtol=1e-5)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_own_action_prior(tmp_path):
    """Without a word it would go on with plain entropy."""

    def log_prior(obs, action):
        return -10.0 * (action**2).sum(-1)

    run = train(tiny.config(steps=256), log_prior=log_prior, out=tmp_path / "run").resume(steps=512)
    straight = train(tiny.config(steps=512), log_prior=log_prior)
    assert run.metrics[-1]["state_sha256"] == straight.metrics[-1]["state_sha256"]


def test_a_run_inherits_a_learner_and_starts_its_own_clock(tmp_path):
    old = train(tiny.config(), out=tmp_path / "old")
    first = []
    new = train(tiny.config(seed=7), out=tmp_path / "new", from_run=tmp_path / "old", listener=first.append)
    assert new.metrics[0]["eval"] == old.metrics[-1]["eval"]
    assert new.metrics[0]["env_steps"] == 0


def test_a_run_that_is_there_is_not_said_to_have_begun_from_another(tmp_path):
    old, other = (train(tiny.config(seed=seed), out=tmp_path / f"old{seed}").directory for seed in (1, 2))
    new = train(tiny.config(steps=256), out=tmp_path / "new", from_run=old)
    for same in ({"from_run": old}, {}, {"from_run": old}):
        assert train(tiny.config(steps=256), out=tmp_path / "new", **same).metrics == new.metrics
    with pytest.raises(softrl.ConfigError, match=r"did not begin from .*old2"):
        train(tiny.config(steps=256), out=tmp_path / "new", from_run=other)
    with pytest.raises(softrl.ConfigError, match=r"old1 holds a run that did not begin from .*old2"):
        train(tiny.config(seed=1), out=old, from_run=other)


def test_a_learner_of_other_shapes_is_refused_before_anything_is_compiled_or_written(tmp_path):
    train(tiny.config(), out=tmp_path / "old")
    events = []
    with pytest.raises(softrl.ConfigError, match="other shapes"):
        train(tiny.config(seeds=2), out=tmp_path / "wrong", from_run=tmp_path / "old", listener=events.append)
    assert not events and not (tmp_path / "wrong").exists()


def test_a_loaded_run_acts_as_the_one_that_was_trained(tmp_path):
    trained = train(tiny.config(), out=tmp_path)
    loaded = load(tmp_path)
    obs = np.linspace(-2, 2, 5, dtype=np.float32)[:, None]
    assert np.array_equal(trained.policy(obs), loaded.policy(obs))
    assert loaded.policy(obs[0]).shape == (1,)
    assert loaded.policy([0.5]).shape == (1,) and loaded.policy([[0.5], [1.0]]).shape == (2, 1)
    assert loaded.metrics == trained.metrics
    wrong = {r"\[2, 3\]": np.zeros((2, 3)), r"\[\]": 0.5, "a dict": {"a": [0.5]}, "a list": [[0.5], []]}
    for got, obs in wrong.items():
        with pytest.raises(softrl.ConfigError, match=rf"obs must be \[1\] or a batch of it, got {got}"):
            loaded.policy(obs)


_MEMBERS = """
import pytest
from softrl import train
from tests import compiled, tiny
compiled.share(pytest.MonkeyPatch())  # both solo runs are one program
sweep = train(tiny.config(seeds=2, seed=4), progress=False)
for member in range(2):
    solo = train(tiny.config(seed=4 + member), progress=False)
    assert tiny.same_bits(tiny.member(sweep.state.learner, member), tiny.member(solo.state.learner, 0))
"""


@pytest.mark.slow
def test_a_member_of_a_sweep_is_the_solo_run_with_its_seed(user_environment):
    """As XLA compiles for a user; two programs of one kind need not round alike without its fusions."""
    environment = user_environment | {"XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _MEMBERS], env=environment, check=True)


def test_progress_is_told_after_every_evaluation():
    told = []
    run = train(tiny.config(), progress_fn=lambda steps, record: told.append((steps, record)))
    assert [steps for steps, _ in told] == [0, 256, 512]
    assert [record for _, record in told] == run.metrics


def test_config_json_names_what_the_numbers_depend_on(tmp_path):
    train(tiny.config(), out=tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert {"config", "versions", "machine", "commit"} <= set(written)
    assert {"jax", "brax", "mujoco"} <= set(written["versions"])
    assert change(tiny.config(), steps=1).training.steps == 1


def test_diverging_everywhere_ends_with_an_error_that_says_what_to_do():
    with pytest.raises(softrl.DivergedError, match="lower the learning rates"):
        train(tiny.config(critic_lr=1e30, steps=4096))


def test_a_run_of_which_every_member_froze_says_so_again_when_it_is_called_again(tmp_path):
    config = tiny.config(critic_lr=1e30, steps=tiny.config().chunk_transitions * 15, eval_every=10**6)
    for _ in range(2):
        with pytest.raises(softrl.DivergedError, match="every member stopped learning"):
            train(config, out=tmp_path)


def test_an_error_says_no_step_saved_whose_save_failed(tmp_path, monkeypatch):
    free, room = durable.free_bytes, iter([True] * 3)
    monkeypatch.setattr(durable, "free_bytes", lambda path: free(path) if next(room, False) else 0)
    with pytest.raises(softrl.CheckpointError, match="no space left") as caught:
        train(tiny.config(steps=2048), out=tmp_path)
    there = max(int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit())
    assert f"saved up to {there * tiny.config().env.num_envs:,} steps" in caught.value.__notes__[0]


def test_the_rate_of_the_first_line_after_a_stop_is_of_the_chunks_made_since(tmp_path):
    """Chunks of the process before took no time of this one's."""
    config, chunks = tiny.config(steps=2048, eval_every=1024), []

    def stop(event):
        chunks.append(event["event"] == "chunk")
        if chunks[-1] and sum(chunks) == 1024 // config.chunk_transitions - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    assert train(config, out=tmp_path, listener=stop).stopped_by == signal.SIGTERM
    rates = []
    told = lambda event: rates.append(event["env_steps_per_s"]) if event["event"] == "chunk" else None
    line = train(config, out=tmp_path, listener=told).metrics[1]
    assert line["timing"]["env_steps_per_s"] == pytest.approx(rates[0])


def test_two_processes_in_one_directory_are_refused(user_environment, tmp_path, capsys):
    first = start(tmp_path / "run", user_environment)
    while first.poll() is None and not (tmp_path / "run" / "config.json").exists():  # written by who has the lock
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # it does not end while the other looks
    if first.poll() is None:
        code, said = here(tmp_path / "run"), capsys.readouterr()
        assert (code, f"process {first.pid}" in said.out + said.err) == (2, True), said
    first.kill()
    first.wait()
    assert os.path.exists(tmp_path / "run" / "config.json")


def test_the_shapes_of_a_run_are_traced_once(tmp_path, monkeypatch):
    """Tracing the reset of a robot takes seconds: memory, checkpoint, programs and best policy share one."""
    traced, trace = [], programs.abstract_run
    count = lambda assembled: traced.append(assembled) or trace(assembled)
    for module in (programs, opening, running):
        monkeypatch.setattr(module, "abstract_run", count)
    train(tiny.config(steps=256), out=tmp_path / "run")
    train(tiny.config(steps=512), out=tmp_path / "run")
    assert len(traced) == 2, "one a session"
