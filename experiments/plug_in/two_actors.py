"""Two actor processes feed one server: `softrl serve` learns Gymnasium's Pendulum from what both push.

    python experiments/plug_in/two_actors.py --steps 5000

The actors need NumPy, Gymnasium and `softrl.serve.client`, no JAX; each could be on a machine of its own.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import gymnasium
import numpy as np

from softrl.serve.client import Client

PULL_EVERY, PUSH_EVERY = 100, 20


def actor(address: str, name: str, steps: int, seed: int) -> None:
    """Acts by the newest policy, pushes what happens, tells its returns."""
    env, rng, rows, score = gymnasium.make("Pendulum-v1"), np.random.default_rng(seed), [], 0.0
    with Client(address, name) as client:
        obs, _ = env.reset(seed=seed)
        for step in range(steps):
            if step % PULL_EVERY == 0:
                policy = client.pull()
            action = policy(obs, rng)
            next_obs, reward, terminated, truncated, _ = env.step(action)
            # A time limit is not death: only `terminated` ends the value, and next_obs is the true successor.
            rows.append((obs, action, np.float32(reward), terminated, next_obs))
            obs, score = next_obs, score + reward
            if len(rows) == PUSH_EVERY or step == steps - 1:
                names = ("obs", "action", "reward", "terminated", "next_obs")
                client.push(dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)))
                rows = []
            if terminated or truncated:
                print(f"{name}: step {step + 1}, version {policy.version}, return {score:.0f}", flush=True)
                (obs, _), score = env.reset(), 0.0


def evaluate(address: str, episodes: int) -> float:
    """Mean return of the newest policy by its mode."""
    env, returns = gymnasium.make("Pendulum-v1"), []
    with Client(address, "judge") as client:
        policy = client.pull()
    for episode in range(episodes):
        (obs, _), score, over = env.reset(seed=1000 + episode), 0.0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(policy(obs))
            score, over = score + reward, terminated or truncated
        returns.append(score)
    return float(np.mean(returns))


def main() -> None:
    """Starts the server and two actors, waits for them, stops the server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000, help="of each actor")
    parser.add_argument("--out", default=None, help="directory of the learner; by default one that is thrown away")
    parser.add_argument("--actor", nargs=3, metavar=("ADDRESS", "NAME", "SEED"), help="be one of the actors")
    options = parser.parse_args()
    if options.actor:
        address, name, seed = options.actor
        actor(address, name, options.steps, int(seed))
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or str(Path(scratch) / "learner")
        settings = ["--width", "64", "--learning-starts", "500", "--gamma", "0.98", "--replay-capacity", "100000"]
        command = [sys.executable, "-m", "softrl.cli", "serve", "--out", out, "--obs", "3", "--actions", "1@-2:2"]
        with subprocess.Popen(
            [*command, *settings, "--address", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        ) as server:
            address = next(line.split()[-1] for line in server.stdout if line.startswith("listening on"))
            again = [sys.executable, __file__, "--steps", str(options.steps), "--actor", address]
            actors = [subprocess.Popen([*again, f"actor-{seed}", str(seed)]) for seed in (0, 1)]
            ended = [process.wait() for process in actors]
            print(f"return of the mode over 10 episodes: {evaluate(address, 10):.0f}", flush=True)
            server.send_signal(signal.SIGTERM)
            print(server.stdout.read().strip())
        if any(ended) or server.returncode:
            sys.exit(f"an actor or the server failed: {ended}, {server.returncode}")


if __name__ == "__main__":
    main()
