"""Episodes on top of a simulator: what upstream wrappers lose is kept, and one bad environment stays alone."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.envs.episodes import episodes
from softrl.types import Continuous, Simulator

LENGTH, NUM_ENVS = 7, 5
GOAL = 3.0


class Walk(NamedTuple):
    """Where one walker is, and what breaks it."""

    x: jax.Array
    broken: jax.Array


def walker(poison: str = "", broken: int = -1) -> Simulator:
    """x′ = x + a from a random start in (0, 1); falls beyond GOAL. Environment `broken` emits NaN where a > 0.9."""

    def reset(key, index):
        x = jax.random.uniform(key, ())
        return Walk(x, index == broken), {"x": x, "pair": jnp.stack([x, -x])}

    def step(sim, action):
        bad = jnp.where(sim.broken & (action[0] > 0.9), jnp.nan, 0.0)
        x = sim.x + action[0]
        obs = {"x": x + bad * (poison == "obs"), "pair": jnp.stack([x, -x]).at[1].add(bad * (poison == "pair"))}
        fallen = (x > GOAL) | jnp.isnan(bad * (poison == "death"))
        return sim._replace(x=x), obs, x * x + bad * (poison in ("reward", "death")), fallen

    return Simulator(reset, step, action=Continuous(1))


def make(simulator: Simulator, **options):
    env = episodes(simulator, name="walk", num_envs=NUM_ENVS, episode_length=LENGTH, **options)
    return env, jax.jit(env.reset), jax.jit(env.step)


ENV, RESET, STEP = make(walker())
UNSTAGGERED = make(walker(), stagger=False)[1]


def push(*sizes: float) -> np.ndarray:
    return np.float32(sizes)[:, None]


def still() -> np.ndarray:
    return np.zeros((NUM_ENVS, 1), np.float32)


def after(state, steps: int, action=None):
    for _ in range(steps):
        state = STEP(state, still() if action is None else action)
    return state


def test_the_spec_tells_what_a_program_must_know():
    assert (ENV.spec.num_envs, ENV.spec.episode_length, ENV.spec.action.size) == (NUM_ENVS, LENGTH, 1)
    assert jax.tree.map(lambda leaf: leaf.shape, ENV.spec.obs) == {"x": (), "pair": (2,)}


def test_a_time_limit_is_no_death_and_keeps_the_true_final_observation():
    before = after(UNSTAGGERED(jax.random.key(0)), LENGTH - 1)
    state = STEP(before, np.full((NUM_ENVS, 1), 0.25, np.float32))
    assert state.truncated.all() and not state.terminated.any() and state.valid.all()
    np.testing.assert_array_equal(state.final_obs["x"], before.obs["x"] + np.float32(0.25))
    np.testing.assert_array_equal(state.final_obs["pair"][:, 1], -state.final_obs["x"])
    assert (np.asarray(state.obs["x"]) != np.asarray(state.final_obs["x"])).all()
    np.testing.assert_array_equal(state.steps, 0)


def test_a_death_is_no_time_limit_and_keeps_the_true_final_observation():
    before = after(UNSTAGGERED(jax.random.key(0)), 2)
    state = STEP(before, push(5.0, 0.0, 0.0, 5.0, 0.0))
    np.testing.assert_array_equal(state.terminated, [True, False, False, True, False])
    assert not state.truncated.any()
    np.testing.assert_array_equal(state.final_obs["x"], before.obs["x"] + np.float32([5, 0, 0, 5, 0]))
    np.testing.assert_array_equal(state.reward, np.square(np.asarray(state.final_obs["x"])))
    np.testing.assert_array_equal(state.steps, [0, 3, 3, 0, 3])
    np.testing.assert_array_equal(state.episode, [1, 0, 0, 1, 0])
    assert (np.asarray(state.obs["x"]) < 1.0).all(), "the dead stand at a fresh start"


def test_dying_on_the_last_step_is_a_death():
    state = STEP(after(UNSTAGGERED(jax.random.key(0)), LENGTH - 1), push(5.0, 0.0, 0.0, 0.0, 0.0))
    np.testing.assert_array_equal(state.terminated, [True, False, False, False, False])
    np.testing.assert_array_equal(state.truncated, [False, True, True, True, True])


def test_in_the_middle_of_an_episode_the_next_observation_is_the_successor():
    state = STEP(UNSTAGGERED(jax.random.key(0)), np.full((NUM_ENVS, 1), 0.125, np.float32))
    jax.tree.map(np.testing.assert_array_equal, state.obs, state.final_obs)
    assert not (state.terminated | state.truncated).any()


def test_a_reset_to_a_cached_first_state_would_train_on_one_episode_for_ever():
    state = UNSTAGGERED(jax.random.key(0))
    starts = [np.asarray(state.obs["x"])]
    for _ in range(4):
        state = after(state, LENGTH)
        starts.append(np.asarray(state.obs["x"]))
    assert len(np.unique(starts)) == 5 * NUM_ENVS


def test_another_run_starts_elsewhere_and_the_same_run_starts_the_same():
    one, same, other = (np.asarray(RESET(jax.random.key(seed)).obs["x"]) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


def test_only_the_first_episode_is_staggered():
    state = RESET(jax.random.key(0))
    np.testing.assert_array_equal(state.steps, [n * LENGTH // NUM_ENVS for n in range(NUM_ENVS)])
    ends = [[] for _ in range(NUM_ENVS)]
    for t in range(1, 4 * LENGTH):
        state = STEP(state, still())
        for n in np.flatnonzero(state.truncated):
            ends[n].append(t)
    for n in range(NUM_ENVS):
        assert ends[n][0] == LENGTH - n * LENGTH // NUM_ENVS
        assert set(np.diff(ends[n])) == {LENGTH}
    assert len({first for first, *_ in ends}) == NUM_ENVS, "they must not all truncate together"


def test_an_episode_starts_the_same_whenever_it_starts():
    """The address of a reset is (run, environment, episode), so that what one environment does moves no other."""
    early = STEP(RESET(jax.random.key(0)), push(5.0, 0.0, 0.0, 0.0, 0.0))
    late = STEP(after(RESET(jax.random.key(0)), 2), push(5.0, 0.0, 0.0, 0.0, 0.0))
    assert early.terminated[0] and early.obs["x"][0] == late.obs["x"][0]


@pytest.mark.parametrize("poison", ["obs", "pair", "reward", "death"])
def test_a_broken_environment_is_quarantined_and_no_other_changes_by_one_bit(poison):
    _, reset, step = make(walker(poison, broken=2))
    broken, clean = reset(jax.random.key(0)), RESET(jax.random.key(0))
    others = np.arange(NUM_ENVS) != 2
    generator = np.random.default_rng(0)
    for t in range(3 * LENGTH):
        action = generator.uniform(-1, 0.8, (NUM_ENVS, 1)).astype(np.float32)
        action[2] = 0.95 if t == 4 else action[2]
        before, broken, clean = broken, step(broken, action), STEP(clean, action)
        rows = broken._replace(key=(), sim=()), clean._replace(key=(), sim=())
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[others], b[others]), *rows)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((broken.obs, broken.final_obs, broken.reward)))
        assert broken.valid[others].all() and bool(broken.valid[2]) == (t != 4)
        if t == 4:
            assert broken.reward[2] == 0.0 and not broken.terminated[2] and not broken.truncated[2]
            assert broken.steps[2] == 0 and broken.episode[2] == before.episode[2] + 1
            assert broken.final_obs["x"][2] == before.obs["x"][2], "the last good observation"
            assert 0.0 <= broken.obs["x"][2] < 1.0, "a fresh start"


def test_an_infinite_reward_is_quarantined_too():
    sim = walker()

    def step(state, action):
        state, obs, reward, fallen = sim.step(state, action)
        return state, obs, jnp.where(action[0] > 0.9, -jnp.inf, reward), fallen

    _, reset, step = make(Simulator(sim.reset, step, Continuous(1)))
    state = step(reset(jax.random.key(0)), push(0.0, 0.95, 0.0, 0.0, 0.0))
    np.testing.assert_array_equal(state.valid, [True, False, True, True, True])
    assert state.reward[1] == 0.0


def test_more_environments_do_not_change_those_that_were_there():
    small, large = (
        jax.jit(episodes(walker(), name="walk", num_envs=n, episode_length=LENGTH, stagger=False).reset)
        for n in (2, NUM_ENVS)
    )
    np.testing.assert_array_equal(small(jax.random.key(0)).obs["x"], large(jax.random.key(0)).obs["x"][:2])


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_a_simulator_may_keep_keys_of_any_kind_over_the_ends_of_episodes(kind):
    def reset(key, index):
        own = jax.random.key(index, impl=kind)
        return own, jax.random.uniform(own, (1,))

    def step(own, action):
        own = jax.random.fold_in(own, 1)
        return own, jax.random.normal(own, (1,)), jnp.float32(0.0), jnp.bool_(False)

    _, start, step = make(Simulator(reset, step, Continuous(1)), stagger=False)
    state = start(jax.random.key(0))
    for _ in range(LENGTH):
        state = step(state, still())
    assert state.truncated.all()
    first = [jax.random.key_data(jax.random.key(index, impl=kind)) for index in range(NUM_ENVS)]
    np.testing.assert_array_equal(jax.random.key_data(state.sim), first)
