"""Evaluation returns of Stable-Baselines3's PPO or DQN on a Gymnasium environment, told as they come."""

import gymnasium
import numpy as np
import stable_baselines3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from benchmarks import protocol

# rl-baselines3-zoo's tuned settings for CartPole-v1, whatever else is their library's default.
TUNED = {
    "PPO": {"n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "ent_coef": 0.0},
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


def main() -> None:
    """Trains `algorithm` on `env` for as many `steps` as its changes say, evaluated ten times."""
    settings = protocol.settings()
    name, changes = settings["algorithm"], settings["changes"]
    packages = ("stable-baselines3", "torch", "gymnasium", "numpy")
    protocol.send({"event": "about", "versions": protocol.versions(*packages), "config": TUNED[name]})
    kind, make = getattr(stable_baselines3, name), settings["env"].removeprefix("gym/")
    env = stable_baselines3.common.env_util.make_vec_env(make, ENVIRONMENTS[name], seed=changes["seed"])
    model = kind("MlpPolicy", env, seed=changes["seed"], device="cpu", **TUNED[name])
    part = changes["steps"] // 10
    for _ in range(10):
        model.learn(part, reset_num_timesteps=False)
        returns, _ = evaluate_policy(model, Monitor(gymnasium.make(make)), 20, return_episode_rewards=True)
        done = {"event": "evaluation", "env_steps": model.num_timesteps, "return": float(np.mean(returns))}
        protocol.send(done)


if __name__ == "__main__":
    main()
