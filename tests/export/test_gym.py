"""A policy trained on a Gymnasium environment leaves with that environment's own action bounds."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents.sac import SACConfig, SACHypers, actor, build
from softrl.envs import EnvConfig, make_env
from softrl.numpy_policy import shapes


def test_actions_of_an_exported_gymnasium_policy_need_no_scaling():
    env = make_env(EnvConfig(env="gym/Pendulum-v1", backend="sync", num_envs=1, episode_length=200))
    config = SACConfig(width=4, depth=1, norm="none")
    agent = build(config, env.spec)
    policy = agent.policy(jax.jit(agent.init)(jax.random.key(0), SACHypers()))
    params = jax.tree.map(jnp.zeros_like, policy.params)
    params["params"]["Dense_1"]["bias"] = jnp.float32([50.0, 0.0])
    plain = actor(config, env.spec, policy._replace(params=params))
    assert set(shapes(plain.spec)) == set(plain.arrays)
    assert plain(np.zeros(3)) == 2.0  # Pendulum's torque is within ±2, and tanh 50 is 1
