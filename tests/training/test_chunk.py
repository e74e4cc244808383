"""The compiled step: what it counts, when it learns, and that nothing in it depends on where it was cut."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.clock import Counter
from softrl.training.assemble import assemble
from softrl.training.chunk import chunk
from softrl.training.state import init_run
from tests import tiny

CONFIG = tiny.config(learning_starts=80)  # 10 vector steps
STARTS = 10


@pytest.fixture(scope="module")
def ready():
    assembled = assemble(CONFIG)
    program, hypers = assembled.program, jax.tree.map(jnp.float32, assembled.hypers)
    run = tiny.compiled(partial(init_run, program), jax.random.key(0), hypers)(jax.random.key(0), hypers)
    return program, run, hypers, tiny.compiled(partial(chunk, program, length=8), run, hypers)


def test_the_clock_counts_vector_steps_and_updates_from_the_first_learning_step(ready):
    _, run, hypers, step = ready
    for chunks in range(1, 4):
        run, _ = step(run, hypers)
        assert int(run.clock.step) == 8 * chunks
        # The step that completes the warm-up is already followed by updates.
        assert int(run.clock.update) == 2 * max(0, 8 * chunks - STARTS + 1)


def test_before_learning_starts_nothing_learns_but_the_statistics(ready):
    _, run, hypers, step = ready
    after, info = step(run, hypers)
    assert tiny.same_bits(after.learner.agent._replace(statistics=()), run.learner.agent._replace(statistics=()))
    assert float(after.learner.agent.statistics.count) == 8 * 8
    assert np.isnan(info.learn.agent.critic_loss)
    warm = np.asarray(after.learner.replay.action[:8])
    assert np.abs(warm).max() < 1.0 and np.abs(warm).mean() == pytest.approx(0.5, abs=0.1)  # uniform on (−1, 1)


def test_a_chunk_boundary_changes_nothing(ready):
    """Sixteen steps in one program and eight twice; two programs fuse differently, so the last bits may differ."""
    program, run, hypers, step = ready
    whole, _ = tiny.compiled(partial(chunk, program, length=16), run, hypers)(run, hypers)
    halves = step(step(run, hypers)[0], hypers)[0]
    numbers = lambda run: jax.tree.map(np.asarray, run.learner._replace(key=()))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), numbers(whole), numbers(halves))
    assert int(whole.clock.update) == int(halves.clock.update)


def test_the_same_seed_is_the_same_run_to_the_bit_and_another_is_not(ready):
    program, _, hypers, step = ready
    begin = tiny.compiled(partial(init_run, program), jax.random.key(0), hypers)
    runs = [step(step(begin(jax.random.key(seed), hypers), hypers)[0], hypers)[0] for seed in (3, 3, 4)]
    assert tiny.same_bits(runs[0], runs[1])
    assert not tiny.same_bits(runs[0].learner.agent.policy.params, runs[2].learner.agent.policy.params)


def test_training_episodes_are_told_whole_or_not_at_all(ready):
    """Eight environments of sixteen steps, staggered: cut first ones do not count, and returns are their rewards."""
    _, run, hypers, step = ready
    rewards, told, episodes, lengths = [], 0.0, 0, 0
    for _ in range(6):
        before = int(run.clock.step)
        run, info = step(run, hypers)
        rewards.append(np.asarray(run.learner.replay.reward)[before : before + 8])
        told, episodes = told + float(info.collect.return_sum), episodes + int(info.collect.episodes)
        lengths += int(info.collect.length_sum)
    rewards = np.concatenate(rewards)  # [48, 8]
    # Environment n starts at step 2n of 16: only environment 0's first episode is whole.
    expected, count = 0.0, 0
    for n in range(8):
        start = 0 if n == 0 else 16 - 2 * n
        while start + 16 <= 48:
            expected, count, start = expected + rewards[start : start + 16, n].sum(), count + 1, start + 16
    assert (episodes, lengths) == (count, 16 * count)
    np.testing.assert_allclose(told, expected, rtol=1e-4)


def test_a_chunk_is_traced_once_however_often_it_runs_and_with_whatever_numbers(ready):
    program, run, hypers, _ = ready
    traces = []

    def counted(run, hypers):
        traces.append(1)
        return chunk(program, run, hypers, length=8)

    step = jax.jit(counted)
    for value in (0.1, 0.2, 0.3):
        step.eval_shape(run, tiny.with_hypers(hypers, tau=jnp.float32(value)))
    assert len(traces) == 1


def test_a_chunk_goes_on_where_32_bits_end(ready):
    """A run whose clock stands just before 2³² steps: counters carry, and learning goes on."""
    _, run, hypers, step = ready
    for _ in range(2):
        run, _ = step(run, hypers)
    rows = CONFIG.training.replay_size // CONFIG.env.num_envs
    length = CONFIG.env.episode_length
    period = np.lcm(rows, length * -(-(rows + length - 1) // length))
    late = (2**32 // period) * period + int(run.clock.step)  # the ring and its side table stand as they do now
    late -= period if late > 2**32 - 8 else 0
    old = run._replace(clock=run.clock._replace(step=Counter.of(late), update=Counter.of(2**32 - 3)))
    on, info = step(old, hypers)
    assert int(on.clock.step) == late + 8 and int(on.clock.update) == 2**32 - 3 + 16
    assert np.isfinite(info.learn.agent.critic_loss) and float(info.learn.finite) == 1.0


def test_a_first_state_made_outside_of_jit_can_be_donated():
    """Eagerly `obs` and `final_obs` of a reset are one buffer, which a donating call must not be given twice."""
    assembled = assemble(CONFIG)
    hypers = jax.tree.map(jnp.float32, assembled.hypers)
    run = init_run(assembled.program, jax.random.key(0), hypers)
    step = jax.jit(partial(chunk, assembled.program, length=8), donate_argnums=0)
    after, _ = step(run, hypers)
    assert int(after.clock.step) == 8
