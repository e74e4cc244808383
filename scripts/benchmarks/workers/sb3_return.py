"""Evaluation returns of Stable-Baselines3's PPO or DQN on a Gymnasium environment, told as they come.

One call of `learn`, since exploration and rates fall over the steps of a call.
"""

import gymnasium
import numpy as np
import stable_baselines3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from benchmarks import protocol

# rl-baselines3-zoo's tuned settings for CartPole-v1, whatever else is their library's default.
TUNED = {
    "PPO": {
        "n_steps": 32,
        "batch_size": 256,
        "gae_lambda": 0.8,
        "gamma": 0.98,
        "n_epochs": 20,
        "ent_coef": 0.0,
        "learning_rate": "falling from 0.001",
        "clip_range": "falling from 0.2",
    },
    "DQN": {
        "learning_rate": 2.3e-3,
        "batch_size": 64,
        "buffer_size": 100_000,
        "learning_starts": 1_000,
        "gamma": 0.99,
        "target_update_interval": 10,
        "train_freq": 256,
        "gradient_steps": 128,
        "exploration_fraction": 0.16,
        "exploration_final_eps": 0.04,
        "policy_kwargs": {"net_arch": [256, 256]},
    },
}
ENVIRONMENTS = {"PPO": 8, "DQN": 1}
FALLING = "falling from "


class Evaluating(BaseCallback):
    """Tells the mean return of 20 episodes after every `part` steps."""

    def __init__(self, env: gymnasium.Env, part: int):
        super().__init__()
        self.env, self.part, self.next = env, part, part

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.next:
            self.next += self.part
            returns, _ = evaluate_policy(self.model, self.env, 20, return_episode_rewards=True)
            done = {"event": "evaluation", "env_steps": self.num_timesteps, "return": float(np.mean(returns))}
            protocol.send(done)
        return True


def _falling(value):
    """A schedule to zero where a setting says so, as rl-baselines3-zoo's `lin_0.001`."""
    if not (isinstance(value, str) and value.startswith(FALLING)):
        return value
    first = float(value.removeprefix(FALLING))
    return lambda left: left * first


def main() -> None:
    """Trains `algorithm` on `env` for as many `steps` as its changes say, evaluated ten times."""
    settings = protocol.settings()
    name, changes = settings["algorithm"], settings["changes"]
    packages = ("stable-baselines3", "torch", "gymnasium", "numpy")
    protocol.send({"event": "about", "versions": protocol.versions(*packages), "config": TUNED[name]})
    kind, make = getattr(stable_baselines3, name), settings["env"].removeprefix("gym/")
    env = stable_baselines3.common.env_util.make_vec_env(make, ENVIRONMENTS[name], seed=changes["seed"])
    own = {setting: _falling(value) for setting, value in TUNED[name].items()}
    model = kind("MlpPolicy", env, seed=changes["seed"], device="cpu", **own)
    evaluating = Evaluating(Monitor(gymnasium.make(make)), changes["steps"] // 10)
    model.learn(changes["steps"], callback=evaluating)


if __name__ == "__main__":
    main()
