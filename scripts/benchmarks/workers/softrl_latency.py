"""How long each call of `softrl.Learner.step` and of `.add` takes, one update and one transition a call; and an update
among many in one call."""

import time

import numpy as np

import softrl
from benchmarks import protocol

OBS, ACTIONS = 17, 6
MANY = 50  # updates in one call, beside which one shows what a call costs


def main() -> None:
    """Tells the seconds of every call."""
    settings = protocol.settings()
    config = softrl.change(softrl.LearnerConfig(), norm="none", batch_size=settings["batch_size"])
    learner = softrl.Learner(config, np.zeros(OBS, np.float32), ACTIONS, replay_capacity=settings["replay_size"])
    random = np.random.default_rng(0)
    learner.add(rows(random, 2_000))
    times = {"step": [], "add": [], "many": []}
    for call in range(50 + settings["calls"]):
        row = rows(random, 1)
        begun = time.perf_counter()
        learner.add(row)
        added = time.perf_counter()
        learner.step()
        if call >= 50:
            times["add"].append(added - begun)
            times["step"].append(time.perf_counter() - added)
    for _ in range(settings["calls"] // MANY):
        begun = time.perf_counter()
        learner.step(updates=MANY)
        times["many"].append((time.perf_counter() - begun) / MANY)
    protocol.send({"event": "latency", **times})


def rows(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Random transitions."""
    return {
        "obs": random.standard_normal((count, OBS), np.float32),
        "action": random.uniform(-1, 1, (count, ACTIONS)),
        "reward": random.standard_normal(count, np.float32),
        "terminated": np.zeros(count, bool),
        "next_obs": random.standard_normal((count, OBS), np.float32),
    }


if __name__ == "__main__":
    main()
