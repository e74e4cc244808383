"""HIL-SERL's shape: demonstrations first, then an actor whose operator sometimes takes over.

Half of each batch comes from demonstrations; what the operator does goes into both buffers; transitions have
HIL-SERL's own keys. The task is sparse: a point must reach the goal, reward 1 there and 0 everywhere else.
`python experiments/plug_in/demonstrations.py`
"""

import sys

import numpy as np

import softrl

GOAL, LIMIT = np.float32([0.7, -0.4]), 40


class Reach:
    """A point in [−1, 1]², moved by at most 0.1 a step."""

    def __init__(self, seed: int):
        self.random = np.random.default_rng(seed)

    def reset(self) -> np.ndarray:
        """A start somewhere else than the goal."""
        self.steps, self.at = 0, self.random.uniform(-1, 0, 2).astype(np.float32)
        return self.at

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Successor, reward, success and time limit."""
        self.steps, self.at = self.steps + 1, np.clip(self.at + 0.1 * action, -1, 1).astype(np.float32)
        done = bool(np.linalg.norm(self.at - GOAL) < 0.15)
        return self.at, float(done), done, self.steps == LIMIT and not done


def operator(obs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Somebody who knows the way, roughly."""
    return np.clip(5.0 * (GOAL - obs) + 0.2 * random.standard_normal(2), -1, 1).astype(np.float32)


def transition(obs, action, next_obs, reward, done) -> dict[str, np.ndarray]:
    """One row in HIL-SERL's words: a mask of 1 where the value goes on, also at a time limit."""
    row = {"observations": obs, "actions": action, "next_observations": next_obs, "rewards": reward}
    return {name: np.asarray([x]) for name, x in {**row, "masks": 1.0 - done, "dones": done}.items()}


def demonstrate(learner: softrl.Learner, env: Reach, episodes: int) -> None:
    """The operator alone."""
    for _ in range(episodes):
        obs, ended = env.reset(), False
        while not ended:
            action = operator(obs, env.random)
            next_obs, reward, done, cut = env.step(action)
            learner.add(transition(obs, action, next_obs, reward, done), names="hil-serl", demonstrations=True)
            obs, ended = next_obs, done or cut


def success(learner: softrl.Learner, episodes: int) -> float:
    """Share of episodes in which the policy's mode arrives in time."""
    arrived, env = 0, Reach(1)
    for _ in range(episodes):
        obs, done, cut = env.reset(), False, False
        while not (done or cut):
            obs, _, done, cut = env.step(learner.act(obs, deterministic=True))
        arrived += done
    return arrived / episodes


def main(steps: int) -> float:
    """Trains with interventions that grow rare; returns the share of successes afterwards."""
    rates = {"policy_lr": 1e-3, "critic_lr": 1e-3, "temperature_lr": 1e-3, "temperature": 0.01}
    config = softrl.change(
        softrl.LearnerConfig(), demonstration_share=0.5, learning_starts=100, width=64, gamma=0.96, **rates
    )
    learner, env = softrl.Learner(config, GOAL, 2, replay_capacity=50_000), Reach(0)
    demonstrate(learner, env, episodes=20)
    obs = env.reset()
    for step in range(steps):
        helped = env.random.uniform() < 0.3 * (1 - step / steps)
        action = operator(obs, env.random) if helped else learner.act(obs)
        next_obs, reward, done, cut = env.step(action)
        row = transition(obs, action, next_obs, reward, done)
        learner.add(row, names="hil-serl")
        if helped:
            learner.add(row, names="hil-serl", demonstrations=True)
        learner.step(updates=2)
        obs = env.reset() if done or cut else next_obs
    return success(learner, episodes=20)


if __name__ == "__main__":
    print(f"arrives in {main(int(sys.argv[1]) if sys.argv[1:] else 2_000):.0%} of episodes")
