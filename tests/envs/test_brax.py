"""Brax's robots behind softrl's door: every backend resets and steps, models can be redrawn, actions repeated."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.envs import EnvConfig, make_env
from softrl.envs.brax import BACKENDS, ROBOTS, make_brax

ROBOT = "inverted_pendulum"  # the cheapest to compile
each_backend = pytest.mark.parametrize(
    "backend", [x if x == "spring" else pytest.param(x, marks=pytest.mark.slow) for x in BACKENDS]
)
"""What is softrl's own is the same for the others as for `spring`."""


def walk_of(env):
    """Two environments, from a reset through four steps of constant actions, in one program of a key."""

    def walk(key):
        state = env.reset(key)
        action = jnp.full((2, env.spec.action.size), 0.3)
        _, states = jax.lax.scan(lambda s, _: (env.step(s, action), s), state, None, length=4)
        return states._replace(sim=())

    return jax.jit(walk)


@functools.cache
def steps(robot: str, backend: str, randomize=None):
    """Environments, their program, and the states of its walk."""
    env = make_env(EnvConfig(env=f"brax/{robot}", backend=backend, num_envs=2, episode_length=3), randomize=randomize)
    walk = walk_of(env)
    # What is run once is not worth LLVM's best effort.
    compiled = walk.lower(jax.random.key(0)).compile(compiler_options={"xla_backend_optimization_level": 0})
    return env, walk, compiled(jax.random.key(0))


def is_sound(env, states) -> None:
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(states._replace(key=())))
    assert jax.tree.map(lambda leaf: leaf.shape[2:], states.obs) == jax.tree.map(lambda s: s.shape, env.spec.obs)
    assert states.valid.all()
    moved = np.asarray(jax.tree.leaves(states.obs)[0])
    assert (moved[0] != moved[1]).any(), "nothing moves"
    # Environment 0 starts at step 0 of 3, environment 1 at step 1.
    truncated = np.asarray(states.truncated & ~states.terminated)
    assert truncated[3, 0] or states.terminated[:, 0].any()
    assert truncated[2, 1] or states.terminated[:, 1].any()


@each_backend
def test_a_backend_that_does_not_step_under_strict_jax_is_no_backend(backend):
    env, _, states = steps(ROBOT, backend)
    is_sound(env, states)


@each_backend
def test_a_backend_that_does_not_lower_for_tpu_and_cuda_trains_on_cpus_only(backend):
    """Of what was traced above; whole chunks are in tests/training/test_lowering.py."""
    _, walk, _ = steps(ROBOT, backend)
    exported = jax.export.export(walk, platforms=("tpu", "cuda"))(jax.random.key(0))
    assert exported.platforms == ("tpu", "cuda")


@pytest.mark.slow
def test_a_swimmer_feels_the_water():
    env, _, states = steps("swimmer", "generalized")
    is_sound(env, states)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("robot", ROBOTS)
def test_every_robot_resets_and_steps_in_every_backend_that_it_comes_in(robot, backend):
    if robot == "swimmer" and backend != "generalized":
        pytest.skip("Brax's swimmer exists only for backend 'generalized'")
    env, _, states = steps.__wrapped__(robot, backend)  # not kept: there are many
    is_sound(env, states)


def heavier(key, system):
    """Gravity between half and twice the Earth's."""
    return system.replace(gravity=system.gravity * jax.random.uniform(key, minval=0.5, maxval=2.0))


@pytest.mark.slow
def test_randomised_models_differ_between_environments_and_episodes_and_start_alike():
    *_, nominal = steps(ROBOT, "spring")
    *_, drawn = steps(ROBOT, "spring", heavier)
    before, after = np.asarray(nominal.obs), np.asarray(drawn.obs)
    np.testing.assert_allclose(before[0], after[0], rtol=1e-6, atol=1e-7)  # the draw moves no start
    change = np.abs(before[1] - after[1]).max(-1)
    assert (change > 0).all(), "every environment has its own model"
    assert change[0] != change[1]


def test_a_randomised_model_does_not_leak_into_the_next_environment():
    robot = make_brax(ROBOT, "spring")
    shipped = np.asarray(robot.sys.gravity)
    env = make_env(EnvConfig(num_envs=2), robot, randomize=heavier)
    state = jax.eval_shape(env.reset, jax.random.key(0))
    np.testing.assert_array_equal(robot.sys.gravity, shipped)
    jax.eval_shape(env.step, state, jax.ShapeDtypeStruct((2, 1), jnp.float32))
    np.testing.assert_array_equal(robot.sys.gravity, shipped)


@pytest.mark.slow  # tests/envs/test_brax_kind.py repeats without physics
def test_a_repeated_action_earns_what_its_physics_steps_earn():
    """Of the first two steps of the walk above, and of one of environments that repeat, which begin as those do."""
    *_, single = steps(ROBOT, "spring")
    double = make_env(EnvConfig(env=f"brax/{ROBOT}", backend="spring", num_envs=2, episode_length=3, action_repeat=2))
    repeated = jax.jit(lambda key: double.step(double.reset(key), jnp.full((2, 1), 0.3)))(jax.random.key(0))
    # Two programs fuse the two differently.
    np.testing.assert_allclose(repeated.reward, single.reward[1] + single.reward[2], rtol=1e-5)
    np.testing.assert_allclose(repeated.final_obs, single.final_obs[2], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(repeated.steps, single.steps[1])
