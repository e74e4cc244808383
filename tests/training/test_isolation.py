"""Failure is a value: a broken environment or a diverging member changes nothing else by one bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.envs import probes
from softrl.training.assemble import member_hypers
from softrl.training.health import PATIENCE
from softrl.types import Continuous, Simulator
from tests import tiny

CHUNKS = 5


def nan_run(monkeypatch, index: int, learning_starts: int) -> tiny.Trial:
    """64 environments of which number `index` (−1: none) emits NaN at every fifth step of its episodes."""
    monkeypatch.setitem(probes.PROBES, "nan-emitter", lambda: probes.nan_emitter(index=index, period=5))
    sizes = {"num_envs": 64, "replay_size": 64 * 128, "learning_starts": learning_starts}
    return tiny.trained(tiny.config(env="probe/nan-emitter", **sizes), CHUNKS)


def test_a_nan_environment_changes_no_other_row_by_one_bit(monkeypatch):
    replays = [nan_run(monkeypatch, index, learning_starts=10**9).run.learner.replay for index in (3, -1)]
    others = np.arange(64) != 3
    for bad, clean in zip(*map(jax.tree.leaves, replays), strict=True):
        assert np.asarray(bad)[:, :, others].tobytes() == np.asarray(clean)[:, :, others].tobytes()
    assert not np.asarray(replays[0].valid)[:, : 16 * CHUNKS, 3].all()


def test_learning_beside_a_nan_environment_stays_finite_and_counts_exactly(monkeypatch):
    learner = nan_run(monkeypatch, index=3, learning_starts=64 * 4).run.learner
    for leaf in jax.tree.leaves((learner.agent, learner.replay)):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))
    steps = 16 * CHUNKS
    invalid = ~np.asarray(learner.replay.valid)[0, :steps]
    assert invalid[:, np.arange(64) != 3].sum() == 0
    assert invalid.sum() == int(learner.health.quarantined[0]) > 0
    assert int(learner.health.skipped[0]) == 0


def nan_resets() -> Simulator:
    """One first observation in seven is NaN, of later episodes than the first; what follows it is finite."""

    def reset(key, index):
        x = jax.random.uniform(key, (1,), minval=-1.0, maxval=1.0)
        return x, jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 9), 0.15), jnp.nan, x)

    def step(x, action):
        x = 0.9 * x + 0.1 * action
        return x, x, -jnp.square(x[0]), jnp.bool_(False)

    return Simulator(reset, step, Continuous(1))


def test_a_reset_that_gives_nan_spoils_its_row_and_nothing_that_learns(monkeypatch):
    """The row begins with what is not finite and ends with what is: nobody may learn from it."""
    monkeypatch.setitem(probes.PROBES, "nan-resets", nan_resets)
    config = tiny.config(env="probe/nan-resets", num_envs=64, replay_size=64 * 128, learning_starts=64 * 40)
    learner = tiny.trained(config, CHUNKS).run.learner
    for leaf in jax.tree.leaves((learner.agent, learner.replay)):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))
    invalid = ~np.asarray(learner.replay.valid)[0, : 16 * CHUNKS]
    assert invalid.sum() == int(learner.health.quarantined[0]) > 20 and int(learner.health.skipped[0]) == 0
    assert not np.asarray(learner.replay.obs)[0, : 16 * CHUNKS][invalid].any()


@pytest.mark.parametrize("how", [pytest.param("sequential", marks=pytest.mark.slow), "vmap"])
def test_a_diverging_member_freezes_alone_and_its_siblings_keep_every_bit(how):
    config = tiny.config(seeds=8)
    programs = tiny.made(config, how=how)
    hypers = member_hypers(programs.assembled)
    bad = tiny.with_hypers(hypers, critic_lr=[6e-4] * 5 + [1e30] + [6e-4] * 2)
    calm = tiny.trained(config, 3, hypers=tiny.with_hypers(hypers, critic_lr=6e-4), programs=programs)
    hurt = tiny.trained(config, 3, hypers=bad, programs=programs)
    for member in set(range(8)) - {5}:
        assert tiny.same_bits(tiny.member(calm.run.learner, member), tiny.member(hurt.run.learner, member))
    health = hurt.run.learner.health
    assert np.asarray(health.code).tolist() == [0] * 5 + [1] + [0] * 2
    assert int(health.skipped[5]) == PATIENCE
    for leaf in jax.tree.leaves(tiny.member(hurt.run.learner.agent, 5)):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))
