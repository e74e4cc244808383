"""What scripts/bench counts on paper, held against the programs that it counts for."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmarks.report import Bar
from benchmarks.sizes import Sizes, bytes_per_update, flops_per_update
from benchmarks.workers import softrl_parts as parts

from softrl.clock import Clock
from softrl.training.health import Health
from softrl.training.learn import learn
from softrl.training.state import LearnerState


def products(jaxpr, times: float = 1.0) -> float:
    """Floating point operations of all matrix products of a traced program, 2·M·N·K each, loops counted in full.

    Inner and outer products of vectors (weighted means and their gradients) do not count.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        out = equation.outvars[0].aval.shape
        if equation.primitive.name == "dot_general" and len(out) > 1:
            (contracted, _), _ = equation.params["dimension_numbers"]
            lengths = [equation.invars[0].aval.shape[axis] for axis in contracted]
            total += times * 2.0 * math.prod(out) * math.prod(lengths) if lengths else 0.0
        inner = times * equation.params.get("length", 1)  # a scan's
        branches = [products(branch.jaxpr, times) for branch in equation.params.get("branches", ())]
        total += max(branches, default=0.0)
        total += sum(products(getattr(v, "jaxpr", v), inner) for v in equation.params.values() if _is_program(v))
    return total


def _is_program(value) -> bool:
    return hasattr(getattr(value, "jaxpr", value), "eqns")


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
    learner = LearnerState(program.agent.init(key, hypers.agent), program.replay.init(), Health.good(), key)
    learner, clock = parts.filled(program, sizes, learner, Clock.start())
    batch = program.replay.sample(learner.replay, clock.step, key, hypers)
    assert jnp.all(batch.weight == 1.0) and jnp.all(jnp.any(batch.obs != 0.0, axis=-1))
    assert not jnp.any(jnp.all(batch.obs == batch.next_obs, axis=-1))
