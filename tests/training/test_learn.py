"""Gradient updates: how many, from what, when a member freezes, and that a frozen one learns no more."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.clock import Clock, Counter, Purpose, at
from softrl.training.assemble import assemble
from softrl.training.chunk import chunk
from softrl.training.health import MESSAGES, PATIENCE, Health, after_update, message
from softrl.training.learn import learn
from softrl.training.state import init_run
from tests import tiny

CONFIG = tiny.config(updates_per_step=3)


@pytest.fixture(scope="module")
def ready():
    """A program, a run whose replay has some rows, hyperparameters, and the compiled `learn`."""
    assembled = assemble(CONFIG)
    program = assembled.program
    hypers = jax.tree.map(jnp.float32, assembled.hypers)
    run = tiny.compiled(partial(init_run, program), jax.random.key(0), hypers)(jax.random.key(0), hypers)
    waiting = program._replace(learning_starts=10**6)
    fill = tiny.compiled(partial(chunk, waiting, length=20), run, hypers)
    run, _ = fill(run, hypers)
    return program, run, hypers, tiny.compiled(partial(learn, program), run.clock, run.learner, hypers)


def test_every_vector_step_makes_the_updates_that_were_asked_for(ready):
    _, run, hypers, step = ready
    clock, learner, _ = step(run.clock, run.learner, hypers)
    assert int(clock.update) == 3 and int(clock.step) == int(run.clock.step)
    assert not tiny.same_bits(learner.agent.critic.params, run.learner.agent.critic.params)
    assert tiny.same_bits(learner.replay, run.learner.replay)


def test_an_update_is_addressed_by_its_number_and_not_by_what_came_before(ready):
    """Three updates in the scan are three calls by hand with the addresses of updates 0, 1 and 2."""
    program, run, hypers, step = ready
    _, together, _ = step(run.clock, run.learner, hypers)

    def one(agent, clock):
        key = run.learner.key
        batch = program.replay.sample(run.learner.replay, clock.step, at(key, clock.update, Purpose.SAMPLE), hypers)
        return program.agent.update(agent, batch, hypers.agent, at(key, clock.update, Purpose.UPDATE), clock)[0]

    by_hand = tiny.compiled(one, run.learner.agent, run.clock)
    agent = run.learner.agent
    for i in range(3):
        agent = by_hand(agent, run.clock._replace(update=Counter.of(i)))
    # Two programs fuse the same arithmetic differently.
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), together.agent, agent)


def test_infos_are_means_over_the_updates(ready):
    program, run, hypers, step = ready
    _, _, three = step(run.clock, run.learner, hypers)
    single = tiny.compiled(partial(learn, program._replace(updates_per_step=1)), run.clock, run.learner, hypers)
    clock, learner, losses = run.clock, run.learner, []
    for _ in range(3):
        clock, learner, info = single(clock, learner, hypers)
        losses.append(float(info.agent.critic_loss))
    np.testing.assert_allclose(three.agent.critic_loss, np.mean(losses), rtol=1e-4)


def test_a_member_whose_numbers_are_gone_is_frozen_at_its_last_good_ones_and_says_when(ready):
    _, run, hypers, step = ready
    poisoned = tiny.with_hypers(hypers, reward_scale=jnp.float32(jnp.inf))
    clock, learner = run.clock, run.learner
    for _ in range(5):
        clock, learner, _ = step(clock, learner, poisoned)
    assert int(learner.health.code) == 1
    assert int(learner.health.frozen_at) == PATIENCE - 1 and int(learner.health.skipped) == PATIENCE
    assert tiny.same_bits(learner.agent.critic, run.learner.agent.critic)
    _, after, info = step(clock, learner, hypers)
    assert tiny.same_bits(after.agent, learner.agent), "a frozen member learns no more"
    assert int(after.health.skipped) == PATIENCE and np.isnan(info.agent.critic_loss)


def test_a_few_bad_updates_are_skipped_and_forgiven(ready):
    _, run, hypers, step = ready
    poisoned = tiny.with_hypers(hypers, reward_scale=jnp.float32(jnp.inf))
    clock, learner, _ = step(run.clock, run.learner, poisoned)
    assert int(learner.health.streak) == 3
    _, learner, _ = step(clock, learner, hypers)
    assert (int(learner.health.code), int(learner.health.streak), int(learner.health.skipped)) == (0, 0, 3)


def test_the_patience_is_in_a_row_and_the_freeze_is_for_good():
    health, finite = Health.good(), [False] * (PATIENCE - 1) + [True] + [False] * (PATIENCE + 3) + [True] * 3
    for update, good in enumerate(finite):
        health = after_update(health, jnp.bool_(good), Counter.of(update))
        assert bool(health.frozen) == (update >= 2 * PATIENCE - 1)
    assert int(health.frozen_at) == 2 * PATIENCE - 1
    assert int(health.skipped) == finite.count(False)


def test_a_chunk_traces_the_update_once():
    """It is most of what there is to trace; the branches of a chunk ask for its shapes four times."""
    assembled, traced = assemble(CONFIG), []
    program, hypers = assembled.program, jax.tree.map(jnp.float32, assembled.hypers)
    counted = lambda *of: traced.append(of) or program.agent.update(*of)
    counting = program._replace(agent=program.agent._replace(update=counted))
    run = jax.eval_shape(partial(init_run, program), jax.random.key(0), hypers)
    jax.eval_shape(partial(chunk, counting, length=4), run, hypers)
    assert len(traced) == 1


def test_every_health_code_has_a_sentence():
    assert all(message(code) for code in MESSAGES) and str(PATIENCE) in message(1)
    assert Clock.start() is not None
