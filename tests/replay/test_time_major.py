"""Time-major replay against a plain list of everything that happened."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from scipy.stats import chisquare

from softrl.clock import Counter
from softrl.replay import ReplayHypers, time_major
from softrl.types import Continuous, EnvSpec, Hypers, Transition
from tests.oracles import replay_model as model

GAMMA = 0.9


class Gamma(NamedTuple):
    """What sampling reads of an agent's hyperparameters."""

    gamma: np.ndarray = np.float32(GAMMA)


def sampling(horizon: float = np.inf, floor: float = 0.1) -> Hypers:
    """What sampling reads."""
    return Hypers(Gamma(), ReplayHypers(np.float32(horizon), np.float32(floor)))


class Ring(NamedTuple):
    """A replay and its compiled functions."""

    replay: object
    rows: int
    num_envs: int
    length: int
    n_step: int
    add: object
    sample: object


def ring(
    *, rows: int, num_envs: int, length: int, n_step: int = 1, batch: int = 64, shards: int = 1, cuts: bool = False
) -> Ring:
    obs = {"pair": jax.ShapeDtypeStruct((2,), jnp.float32), "one": jax.ShapeDtypeStruct((), jnp.float32)}
    spec = EnvSpec("list", obs, Continuous(1), num_envs, length, own_truncation=cuts)
    replay = time_major(spec, capacity=rows * num_envs, batch_size=batch, n_step=n_step, shards=shards)
    return Ring(replay, rows, num_envs, length, n_step, jax.jit(replay.add), jax.jit(replay.sample))


def observation(numbers: list[float]) -> dict[str, np.ndarray]:
    one = np.asarray(numbers, np.float32)
    return {"pair": np.stack([one, -one], -1), "one": one}


def transition(row: list[model.Row]) -> Transition:
    columns = model.Row(*zip(*row, strict=True))
    return Transition(
        observation(columns.obs),
        np.asarray(columns.action, np.float32)[:, None],
        np.asarray(columns.reward, np.float32),
        np.asarray(columns.terminated),
        np.asarray(columns.truncated),
        observation(columns.next_obs),
        np.asarray(columns.valid),
    )


def filled(ring: Ring, history: list[list[model.Row]]):
    state = ring.replay.init()
    for t, row in enumerate(history):
        state = ring.add(state, Counter.of(t), transition(row))
    return state


def same_as_the_list(ring: Ring, history: list[list[model.Row]], batch) -> None:
    """Every row of the batch is a window of the list that may be drawn when its last element has just been added."""
    newest = len(history) - 1
    slot, column = np.asarray(batch.index) // ring.num_envs, np.asarray(batch.index) % ring.num_envs
    start = newest - (newest - slot) % ring.rows
    assert (start >= max(0, newest - ring.rows + 1)).all(), "an unwritten or overwritten row was drawn"
    assert (start <= newest - ring.n_step).all(), "a row was drawn whose successors are not all there"
    expected = [
        model.window(history, t, n, ring.n_step, GAMMA) for t, n in zip(start.tolist(), column.tolist(), strict=True)
    ]
    column = lambda name: np.asarray([getattr(window, name) for window in expected], np.float32)
    np.testing.assert_array_equal(batch.obs["one"], column("obs"))
    np.testing.assert_array_equal(batch.obs["pair"], np.stack([column("obs"), -column("obs")], -1))
    np.testing.assert_array_equal(batch.action[:, 0], column("action"))
    np.testing.assert_array_equal(batch.weight, column("weight"))
    counted = column("weight") > 0
    # At most four float32 terms of order one.
    np.testing.assert_allclose(batch.reward[counted], column("reward")[counted], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch.discount[counted], column("discount")[counted], rtol=1e-6)
    # Behind a death the discount is 0 and the successor may be anything finite.
    lives = counted & (column("discount") > 0)
    np.testing.assert_array_equal(batch.next_obs["one"][lives], column("next_obs")[lives])
    np.testing.assert_array_equal(batch.next_obs["pair"][lives, 1], -column("next_obs")[lives])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(batch))


RINGS = [
    ring(rows=2, num_envs=3, length=1),
    ring(rows=5, num_envs=4, length=3),
    ring(rows=7, num_envs=4, length=4, n_step=2, shards=2),
    ring(rows=6, num_envs=2, length=9, n_step=3),
    ring(rows=9, num_envs=6, length=2, n_step=4, shards=3, batch=63),
    ring(rows=5, num_envs=5, length=50, n_step=4),
]
QUICK = [
    pytest.param(ring, marks=pytest.mark.slow) if ring in (RINGS[1], RINGS[2], RINGS[5]) else ring for ring in RINGS
]


@settings(max_examples=4)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.1]))
@pytest.mark.parametrize("ring", QUICK, ids=lambda r: f"T{r.rows}-N{r.num_envs}-L{r.length}-n{r.n_step}")
def test_every_window_that_is_drawn_happened_and_is_told_as_it_happened(ring, seed, deaths, faults):
    steps = 3 * ring.rows + 2 * min(ring.length, 10)
    history = model.history(seed, steps=steps, num_envs=ring.num_envs, length=ring.length, deaths=deaths, faults=faults)
    state = ring.replay.init()
    for t in range(steps):
        state = ring.add(state, Counter.of(t), transition(history[t]))
        if t >= ring.n_step and (t + seed) % 2:  # every other step, even and odd ones in turn
            batch = ring.sample(state, Counter.of(t + 1), jax.random.key(seed + t), sampling())
            same_as_the_list(ring, history[: t + 1], batch)


IMPATIENT = [
    ring(rows=40, num_envs=1, length=1000, cuts=True),
    ring(rows=7, num_envs=64, length=1000, n_step=3, cuts=True),
]


@settings(max_examples=6)
@given(st.integers(0, 10**6), st.sampled_from([0.04, 0.3, 1.0]), st.sampled_from([0.0, 0.1]))
@pytest.mark.parametrize("ring", IMPATIENT, ids=lambda r: f"T{r.rows}-N{r.num_envs}-n{r.n_step}")
def test_an_environment_that_truncates_at_any_rate_keeps_every_true_last_observation(ring, seed, cuts, deaths):
    steps = 3 * ring.rows
    sizes = {"num_envs": ring.num_envs, "length": ring.length}
    history = model.history(seed, steps=steps, **sizes, deaths=deaths, faults=0.05, cuts=cuts)
    state = ring.replay.init()
    for t in range(steps):
        state = ring.add(state, Counter.of(t), transition(history[t]))
        if t >= ring.n_step and t % 5 == 0:
            batch = ring.sample(state, Counter.of(t + 1), jax.random.key(seed + t), sampling())
            same_as_the_list(ring, history[: t + 1], batch)


@pytest.mark.parametrize("ring", QUICK[1:5], ids=lambda r: f"T{r.rows}-L{r.length}-n{r.n_step}")
def test_a_run_past_four_billion_steps_draws_as_a_young_one_does(ring):
    steps, young = 40, 3 * ring.rows * ring.length  # the ring and its side table stand at the same slots
    old = 2**32 // young * young
    history = model.history(0, steps=steps, num_envs=ring.num_envs, length=ring.length, deaths=0.1, faults=0.05)
    batches = []
    for first in (young, old):
        # An environment truncates once in any L steps, whenever its clock began.
        state = ring.replay.init()
        for t, row in enumerate(history):
            state = ring.add(state, Counter.of(first + t), transition(row))
        batches.append(ring.sample(state, Counter.of(first + steps), jax.random.key(1), sampling()))
    jax.tree.map(np.testing.assert_array_equal, *batches)


def draws(ring: Ring, keys: int, hypers: Hypers) -> tuple[np.ndarray, int]:
    """How often each (age, environment) was drawn from a full ring; ages count from n_step up."""
    history = model.history(0, steps=ring.rows + 3, num_envs=ring.num_envs, length=ring.length, deaths=0.0, faults=0.0)
    state, step = filled(ring, history), Counter.of(len(history))
    newest = len(history) - 1
    counts = np.zeros((ring.rows - ring.n_step, ring.num_envs), int)
    for seed in range(keys):
        index = np.asarray(ring.sample(state, step, jax.random.key(seed), hypers).index)
        age = (newest - index // ring.num_envs) % ring.rows
        np.add.at(counts, (age - ring.n_step, index % ring.num_envs), 1)
    return counts, keys


@pytest.mark.parametrize("shards, n_step", [(1, 1), (4, 3)])
def test_a_transition_that_is_drawn_more_often_than_another_biases_the_learner(shards, n_step):
    counts, _ = draws(ring(rows=16, num_envs=8, length=5, n_step=n_step, batch=4096, shards=shards), 8, sampling())
    assert chisquare(counts.ravel()).pvalue > 1e-4


def test_a_stratum_without_its_share_of_the_batch_would_tie_the_draws_to_the_machine():
    counts, keys = draws(ring(rows=16, num_envs=8, length=5, batch=64, shards=4), 3, sampling())
    np.testing.assert_array_equal(counts.sum(0).reshape(4, 2).sum(1), 16 * keys)


def test_recency_reaches_the_draws_in_units_of_transitions():
    there = ring(rows=33, num_envs=8, length=5, batch=4096)
    counts, _ = draws(there, 8, sampling(128.0, 0.25))
    expected = model.recency_probabilities(32, horizon=128.0 / 8, floor=0.25)
    assert chisquare(counts.sum(1), expected * counts.sum()).pvalue > 1e-4


@pytest.mark.slow
def test_the_draws_of_a_spread_replay_are_those_of_one_device():
    there = ring(rows=12, num_envs=8, length=5, n_step=2, batch=32, shards=4)
    history = model.history(5, steps=30, num_envs=8, length=5, deaths=0.1, faults=0.1)
    state, step, key = filled(there, history), Counter.of(30), jax.random.key(7)
    alone = there.sample(state, step, key, sampling())
    for count in (2, 4):
        mesh = Mesh(np.asarray(jax.devices()[:count]), ("data",))
        spread = jax.device_put(state, NamedSharding(mesh, P(None, "data")))
        jax.tree.map(np.testing.assert_array_equal, alone, there.sample(spread, step, key, sampling()))


def test_a_second_copy_of_every_observation_would_halve_what_replay_holds():
    spec = EnvSpec("humanoid", jax.ShapeDtypeStruct((244,), jnp.float32), Continuous(17), 64, 1000)
    replay = time_major(spec, capacity=2**20, batch_size=256)
    leaves = jax.tree.leaves(jax.eval_shape(replay.init))
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) / 2**20
    # Brax keeps obs, next_obs, action, reward, discount and truncation, all float32.
    assert held <= 0.55 * 4 * (244 + 244 + 17 + 1 + 1 + 1)


def test_what_was_asked_to_be_kept_is_kept_also_where_it_is_no_whole_number_of_rows():
    spec = EnvSpec("list", jax.ShapeDtypeStruct((1,), jnp.float32), Continuous(1), 8, 10)
    state = jax.eval_shape(time_major(spec, capacity=33, batch_size=4).init)
    assert state.reward.shape == (5, 8)


def test_feedback_leaves_a_replay_without_priorities_as_it_is():
    there = RINGS[1]
    state = there.replay.init()
    assert there.replay.feedback(state, jnp.zeros(4, int), jnp.zeros(4)) is state
