"""The returns of a policy, as Stable-Baselines3's `evaluate_policy` counts them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from softrl.compat.sb3.arguments import whole
from softrl.compat.sb3.environments import vectorised


def evaluate_policy(
    model: Any,
    env: Any,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    render: bool = False,
    callback: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
    reward_threshold: float | None = None,
    return_episode_rewards: bool = False,
    warn: bool = True,
) -> tuple[Any, Any]:
    """Runs episodes, as many in each of several environments as can be, since short ones would count too often.

    Args: as Stable-Baselines3's. model: has `predict`. env: as of `SAC`.
    Returns: mean and standard deviation of the returns; with `return_episode_rewards` lists of returns and lengths.
    Raises: AssertionError: the mean is not above `reward_threshold`. ConfigError: another kind of env.
    """
    env = vectorised(env)
    left = (whole("n_eval_episodes", n_eval_episodes) + np.arange(env.num_envs)) // env.num_envs
    returns, lengths = [], []
    current, steps = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    observations = env.reset()
    while left.any():
        actions, _ = model.predict(observations, deterministic=deterministic)
        observations, rewards, dones, infos = env.step(actions)
        current, steps = current + rewards, steps + 1
        for i in np.flatnonzero(left):
            reward, done, info = rewards[i], dones[i], infos[i]
            if callback is not None:
                callback(locals(), globals())
            if done:
                returns.append(info.get("episode", {"r": current[i]})["r"])
                lengths.append(info.get("episode", {"l": steps[i]})["l"])
        left, current, steps = left - (dones & (left > 0)), current * ~dones, steps * ~dones
        if render:
            env.render()
    mean = np.mean(returns)
    assert reward_threshold is None or mean > reward_threshold, f"mean return {mean:.2f}, not above {reward_threshold}"
    return (returns, lengths) if return_episode_rewards else (mean, np.std(returns))
