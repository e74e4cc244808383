"""A policy trained on a Gymnasium environment leaves with that environment's own action bounds."""

import numpy as np

from softrl.agents.sac import SACConfig
from softrl.envs import EnvConfig, make_env
from softrl.export.portable import portable
from softrl.numpy_policy import shapes


def test_actions_of_an_exported_gymnasium_policy_need_no_scaling():
    env = make_env(EnvConfig(env="gym/Pendulum-v1", backend="sync", num_envs=1, episode_length=200))
    config = SACConfig(width=4, depth=1, layer_norm=False)
    blank = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    policy = portable(config, env.spec, blank | {"policy/Dense_1/bias": np.float32([50.0, 0.0])})
    assert set(shapes(policy.spec)) == set(policy.arrays)
    assert policy(np.zeros(3)) == 2.0  # Pendulum's torque is within ±2, and tanh 50 is 1


SHAPES = {
    "policy/Dense_0/kernel": (3, 4),
    "policy/Dense_0/bias": (4,),
    "policy/Dense_1/kernel": (4, 2),
    "policy/Dense_1/bias": (2,),
    "statistics/mean": (3,),
    "statistics/variance": (3,),
}
