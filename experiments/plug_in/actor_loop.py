"""An actor loop of one's own in twenty lines: Gymnasium steps, softrl learns.

python experiments/plug_in/actor_loop.py
"""

import sys

import gymnasium
import numpy as np

import softrl


def main(steps: int) -> float:
    """Trains on Pendulum and returns the mean of the last ten episodes' returns."""
    env = gymnasium.make("Pendulum-v1")
    learner = softrl.Learner(softrl.LearnerConfig(), env.observation_space, env.action_space, replay_capacity=100_000)
    returns, total, (obs, _) = [], 0.0, env.reset(seed=0)
    for _ in range(steps):
        action = learner.act(obs)
        next_obs, reward, terminated, truncated, _ = env.step(action)
        row = {"obs": obs, "action": action, "reward": reward, "terminated": terminated, "next_obs": next_obs}
        learner.add({name: np.asarray([value]) for name, value in row.items()})
        learner.step(updates=1)
        obs, total = next_obs, total + reward
        if terminated or truncated:
            returns, total, (obs, _) = [*returns, total], 0.0, env.reset()
    return float(np.mean(returns[-10:]))


if __name__ == "__main__":
    print(f"mean return of the last ten episodes: {main(int(sys.argv[1]) if sys.argv[1:] else 10_000):.1f}")
