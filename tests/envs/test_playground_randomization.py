"""MuJoCo Playground's own domain randomisation: which robots have it, what they keep of it, the same after a kill."""

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.envs import EnvConfig, make_env, playground
from softrl.envs.domain_randomization import OWN
from softrl.storage import metrics

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GO1 = "playground/Go1JoystickFlatTerrain"
SIZES = {
    "num_envs": 4,
    "episode_length": 24,
    "width": 16,
    "depth": 1,
    "n_step": 1,
    "batch_size": 16,
    "replay_size": 512,
    "learning_starts": 32,
    "updates_per_step": 1,
    "chunk_steps": 16,
    "eval_every": 64,
    "eval_episodes": 1,
    "steps": 640,
}


@pytest.fixture(scope="module", autouse=True)
def registry():
    """Playground's own."""
    pytest.importorskip("mujoco_playground", reason="large; SOFTRL_EXTRAS=playground scripts/test has it")
    if find_spec(playground.MENAGERIES[0]) is None:
        pytest.skip("the packages with meshes are not installed")
    return playground.library()


def test_robots_with_a_randomiser_are_playgrounds_own(registry):
    assert [name for name in playground.KNOWN if registry.get_domain_randomizer(name) is not None] == sorted(
        playground.RANDOMIZED, key=playground.KNOWN.index
    )


@pytest.mark.parametrize("name", ["Go1JoystickRoughTerrain", "G1JoystickFlatTerrain", "LeapCubeReorient"])
def test_a_robot_keeps_little_of_its_model_and_steps_in_what_it_was_reset_in(name):
    env = make_env(softrl.preset(f"playground/{name}", num_envs=2).env, randomize=OWN)
    state = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(env.step, state, jax.ShapeDtypeStruct((2, env.spec.action.size), jnp.float32))
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (state, after)]
    assert shapes[0] == shapes[1]
    simulator, drawn = state.sim
    assert {"body_mass", "qpos0", "dof_armature", "dof_frictionloss"} <= drawn.keys()
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in (drawn, simulator)]
    assert sizes[0] < 0.1 * sizes[1]


def test_a_quadruped_has_another_floor_in_every_episode_and_only_then():
    env = make_env(EnvConfig(env=GO1, backend="jax", num_envs=2, episode_length=2), randomize=OWN)
    step = jax.jit(env.step)
    states = [jax.jit(env.reset)(jax.random.key(0))]
    for _ in range(5):
        states.append(step(states[-1], jnp.zeros((2, env.spec.action.size))))
    frictions = np.stack([state.sim[1]["geom_friction"][:, 0, 0] for state in states])  # as Playground says: U(0.4, 1)
    ended = np.stack([state.truncated | state.terminated for state in states[1:]])
    np.testing.assert_array_equal([one != other for one, other in pairwise(frictions)], ended)
    assert ended.sum() >= 4
    assert len(np.unique(frictions)) == 2 + ended.sum()
    assert ((frictions >= 0.4) & (frictions <= 1.0)).all()


def test_a_killed_run_goes_on_in_the_same_physics(tmp_path, user_environment):
    flags = [word for name, value in SIZES.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [
        sys.executable,
        "-m",
        "softrl.cli",
        "train",
        GO1,
        "--domain-randomization",
        *flags,
        "--no-video",
        "--out",
    ]
    environment = {**user_environment, "PYTHONPATH": str(ROOT)}
    calm, run = tmp_path / "calm", tmp_path / "run"
    assert subprocess.run([*command, str(calm)], env=environment, cwd=ROOT).returncode == 0
    process = subprocess.Popen([*command, str(run)], env=environment, cwd=ROOT)
    log = run / "metrics.jsonl"
    while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < 4):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert metrics.read(log)[-1]["env_steps"] < SIZES["steps"]
    assert subprocess.run([*command, str(run)], env=environment, cwd=ROOT).returncode == 0
    ends = [metrics.read(directory / "metrics.jsonl")[-1] for directory in (calm, run)]
    assert ends[0]["state_sha256"] == ends[1]["state_sha256"]
