"""What scripts/bench counts on paper, held against the programs that it counts for; its bars and its ten minutes."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmarks import accelerator, family, protocol, seeds
from benchmarks.counted import products
from benchmarks.peaks import Peak
from benchmarks.report import Bar
from benchmarks.sizes import Sizes, bytes_per_update, flops_per_update
from benchmarks.workers import softrl_parts as parts

from softrl.clock import Clock
from softrl.envs import names
from softrl.training.health import Health
from softrl.training.learn import learn
from softrl.training.state import LearnerState
from tests.sweep import wild


@pytest.mark.parametrize("updates", [1, 3])
def test_counted_flops_are_those_of_the_shipped_learn(updates):
    sizes = Sizes(replay_size=256)
    program, hypers = parts.program(sizes, updates), parts.hypers(sizes)

    def start(key):
        return LearnerState(program.agent.init(key, hypers.agent), program.replay.init(), Health.good(), key)

    def run(learner):
        return learn(program, Clock.start(), learner, hypers)

    learner = jax.eval_shape(start, jax.random.key(0))
    traced = products(jax.make_jaxpr(run)(learner).jaxpr) / updates
    # Traced, the critics' first layers still send a gradient to the observations beside the policy's actions.
    to_observations = 2 * 2.0 * sizes.batch_size * sizes.width * sizes.obs_size
    assert traced == flops_per_update(sizes, strict=True) + to_observations
    assert flops_per_update(sizes, strict=True) < traced < flops_per_update(sizes)


def test_the_counts_at_half_cheetah_s_sizes_are_those_that_the_bars_are_stated_in():
    assert flops_per_update(Sizes()) == 589_824_000
    assert flops_per_update(replace(Sizes(), batch_size=512)) == 2 * 589_824_000


def test_counted_bytes_cover_every_parameter_and_the_batch():
    sizes = Sizes()
    policy = (17 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 12
    critics = 2 * ((23 + 1) * 256 + (256 + 1) * 256 + (256 + 1))
    assert bytes_per_update(sizes) == 4 * (6 * policy + 8 * critics + 256 * (17 + 17 + 6 + 2))


def test_a_bar_that_was_not_measured_is_not_met():
    assert not Bar("nothing", math.nan, 1.0).met
    assert not Bar("nothing", math.nan, 1.0, at_least=False).met
    assert Bar("time", 0.3, 1 / 3, at_least=False).met and not Bar("rate", 1.49, 1.5).met


def test_the_benchmark_s_replay_is_full_of_rows_that_can_be_drawn():
    sizes = Sizes(replay_size=256)
    program, hypers = parts.program(sizes, 1), parts.hypers(sizes)
    key = jax.random.key(0)
    agent = jax.jit(program.agent.init)(key, hypers.agent)
    learner = LearnerState(agent, program.replay.init(), Health.good(), key)
    learner, clock = parts.filled(program, sizes, learner, Clock.start())
    batch = jax.jit(program.replay.sample)(learner.replay, clock.step, key, hypers)
    assert jnp.all(batch.weight == 1.0) and jnp.all(jnp.any(batch.obs != 0.0, axis=-1))
    assert not jnp.any(jnp.all(batch.obs == batch.next_obs, axis=-1))


def test_a_worker_that_finds_no_end_is_ended_at_its_limit():
    with (
        subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"]) as process,
        protocol._ended(process, 0.0) as ended,
    ):
        assert process.wait(timeout=60) < 0 and ended.is_set()


def test_a_bench_that_is_stopped_leaves_no_contestant_behind(tmp_path, user_environment):
    command = [sys.executable, "-P", "-m", "benchmarks", "family", "--only", "policy-gradient", "CartPole"]
    command += ["--results", str(tmp_path / "results"), "--out", str(tmp_path)]
    environment = user_environment | {"PYTHONPATH": str(protocol.SCRIPTS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
        while not (contestants := list(wild.children(lambda words: "benchmarks.workers.softrl_return" in words))):
            assert bench.poll() is None
        bench.terminate()
        assert bench.wait(60) == 143
    assert not psutil.wait_procs(contestants, timeout=10)[1]


@pytest.mark.parametrize("task", family.TASKS, ids=lambda task: task.name)
def test_the_page_shows_the_returns_and_seconds_of_the_committed_seeds(task):
    runs = seeds.known(family.RESULTS, task)
    returns, seconds = ([run[name] for run in runs] for name in ("return", "seconds"))
    mean, *each = (f"{value:,.0f}".replace("-", "−") for value in (np.mean(returns), *returns))
    shown = f"| `{task.env}` | {task.limit} | {len(runs)} | {mean} ({', '.join(each)}) | {np.mean(seconds):.0f} |"
    assert shown in (protocol.ROOT / "docs/benchmarks.md").read_text()


def test_every_robot_of_the_accelerator_s_suites_is_there():
    assert {env for robots in accelerator.SUITES.values() for env in robots} <= set(names())


def test_a_share_of_the_device_is_that_of_all_its_updates_and_nothing_where_it_is_unknown():
    row = {"precision": "bfloat16", "updates_per_s": 100.0, "devices": 2}
    cost, peak = {"products": 8.0, "flops": 6.0, "bytes": 10.0}, Peak(100.0, 1000.0, 2000.0, "")
    assert accelerator.shares(row, cost, peak) == {"flops_share": 50 * 8 / 1000, "bytes_share": 50 * 10 / 2000}
    assert all(map(math.isnan, accelerator.shares(row, cost, None).values()))
    assert all(map(math.isnan, accelerator.shares({"failed": "", **row}, cost, peak).values()))


def accelerated(out: Path, environment: dict[str, str], *words: str) -> tuple[dict, str]:
    """What `scripts/bench accelerator --tiny` leaves and says, in a process of its own."""
    environment = environment | {"PYTHONPATH": str(protocol.SCRIPTS), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-P", "-m", "benchmarks", "accelerator", "--tiny", "--out", str(out), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "accelerator.json").read_text()), done.stdout


def test_what_fails_on_an_accelerator_is_a_row_and_the_command_runs_to_its_end(tmp_path, user_environment):
    result, said = accelerated(tmp_path, user_environment, "--precisions", "nonsense", "--parts", "rates")
    (row,) = result["rates"]
    assert row["failed"].startswith("ConfigError: ") and row["members"] == 2
    assert result["measured"]["float32"] > 0.0 and "whole chunks, all members" in said


@pytest.mark.slow
@pytest.mark.parametrize("precisions", [["bfloat16"], ["float32", "bfloat16"]], ids=" ".join)
def test_the_accelerator_s_command_measures_rates_and_the_time_to_a_return(precisions, tmp_path, user_environment):
    result, said = accelerated(tmp_path, user_environment, "--precisions", *precisions, "nonsense")
    good, bad = ([row for row in result["rates"] if (row["precision"] != "nonsense") == good] for good in (True, False))
    assert [row["precision"] for row in good] == precisions
    assert [row["members"] for row in good] == [2] * len(precisions) and [row["members"] for row in bad] == [2]
    for row in good:
        assert "failed" not in row and row["env_steps_per_s"] == 8 / 2 * row["updates_per_s"]
        assert 0.0 < row["flops_share"] < 1.0 and row["bytes_share"] > 0.0
    assert all(row["failed"].startswith("ConfigError: ") for row in bad)
    (reached,) = result["returns"]
    assert reached["reached_s"] > 0.0 and reached["best"] >= reached["wanted"]
    assert "whole chunks, all members" in said and "time to a return" in said
