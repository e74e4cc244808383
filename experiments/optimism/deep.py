#!/usr/bin/env python
"""The bridge and the road by deep learners: soft actor-critic with the optimistic backup, and with its own.

    python experiments/optimism/deep.py [--out experiments/optimism]

writes deep.png and deep.json. Both learn from samples of the same world that run.py solves exactly, at the same
temperature and under the same uniform prior over moves; only their critics' backup differs. What each does in the world
as it is is then computed from its policy, beside the exact policies of the same discounted objectives.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from run import CAREFUL, EARNED, HORIZON, SHOWN_TEMPERATURE, draw_map, execute, named, outcome

import softrl
from softrl import inference
from softrl.envs.gridworld import World, gridworld
from softrl.training.assemble import acting

GAMMA = 0.99
SEEDS = 3
SETTINGS = {
    "gamma": GAMMA,
    "temperature": SHOWN_TEMPERATURE,
    "auto_temperature": False,
    "action_prior": "uniform",
    "normalize_obs": False,
    "width": 64,
    "activation": "tanh",
    "tau": 0.01,
    "policy_lr": 1e-3,
    "critic_lr": 1e-3,
    "episode_length": HORIZON,
    "num_envs": 64,
    "updates_per_step": 4,
    "batch_size": 256,
    "n_step": 1,
    "n_step_entropy": True,
    "recency_horizon": float("inf"),
    "learning_starts": 64_000,
    "replay_size": 512_000,
    "steps": 384_000,
    "eval_every": 64_000,
    "eval_episodes": 8,
    "seeds": SEEDS,
}
BACKUPS = {"optimistic": EARNED, "variational": CAREFUL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the figure and the numbers")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    world, numbers, shown = gridworld(), {"gamma": GAMMA, "temperature": SHOWN_TEMPERATURE}, []
    for backup in BACKUPS:
        policies = [exact(world, backup), *learned(world, backup)]
        visits = [execute(world.mdp, jnp.asarray(policy)) for policy in policies]
        outcomes = [{k: float(v) for k, v in named(outcome(world, each)).items()} for each in visits]
        numbers[backup] = {"exact": outcomes[0], "deep": outcomes[1:]}
        shown += [(backup, "exact", visits[0]), (backup, "soft actor-critic, first seed", visits[1])]
    draw(out / "deep.png", world, shown)
    (out / "deep.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(json.dumps(numbers, indent=1))
    print(f"written: {out / 'deep.png'}, {out / 'deep.json'}")


def exact(world: World, backup: str) -> np.ndarray:
    """log π `[T, S, A]` of the exact discounted objective that this backup has."""
    discount = {"discount": "scaled"} if backup == "optimistic" else {}
    how = {"gamma": GAMMA, "temperature": SHOWN_TEMPERATURE, "mode": backup, **discount}
    return over_time(inference.soft_value_iteration(world.mdp, **how).log_policy)


def learned(world: World, backup: str) -> list[np.ndarray]:
    """log π `[T, S, A]` of every seed's policy after training."""
    run = softrl.train(softrl.preset("probe/gridworld", **SETTINGS, backup=backup))
    every = np.eye(len(world.cells) + 1, dtype=np.float32)
    agents = [jax.tree.map(lambda x, m=member: x[m], run.state.learner.agent) for member in range(SEEDS)]
    acts = [acting(run.assembled, run.assembled.program.agent.policy(agent)) for agent in agents]
    return [over_time(jax.nn.log_softmax(act.outputs([every]))) for act in acts]


def over_time(log_policy) -> np.ndarray:
    """The same policy at every one of T steps."""
    return np.broadcast_to(np.asarray(log_policy)[None], (HORIZON, *np.shape(log_policy)))


def draw(path: Path, world: World, shown: list[tuple]) -> None:
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 10})
    figure, axes = plt.subplots(2, 2, figsize=(10.0, 5.4), layout="constrained")
    for axis, (backup, who, visits) in zip(axes.flat, shown, strict=True):
        draw_map(axis, world, np.asarray(visits), f"{backup} backup: {who}", BACKUPS[backup])
    figure.savefig(path, dpi=160)
    plt.close(figure)


if __name__ == "__main__":
    main()
