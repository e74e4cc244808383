#!/usr/bin/env python
"""Puts the best policy of finished runs into the zoo that ships with softrl, each with its card.

    python experiments/locomotion/zoo.py RUN [RUN ...] [--preset sample-efficient] [--episodes 32] [--seed 1000]

A policy is evaluated twice on the same fresh episodes: as it was trained, and with the kernels of its network in
float16, which its file then holds if the means differ by at most one standard error of the difference, as of two
samples: a robot's episodes part after a hundred steps, however small a change. Returns are of the mode.
Training chooses a policy by the episodes of seed 0 and measures it on those of seed 1, so --seed is from 2. What is
there under the same name is replaced. `softrl eval zoo/NAME --episodes … --seed …` makes the card's return again.
"""

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

import softrl
from softrl import numpy_policy
from softrl.config import flat
from softrl.errors import ConfigError, SoftRLError
from softrl.numpy_policy import NumpyPolicy
from softrl.run import Run
from softrl.storage import durable
from softrl.training import identity
from softrl.training.assemble import acting
from softrl.zoo.cards import POLICIES, Card
from softrl.zoo.published import published

LEAST_EPISODES, FRESH_SEEDS = 20, 2
VERSIONS = ("softrl", "jax", "gymnasium", "brax", "mujoco", "mujoco-mjx", "playground")
MISSING = "not installed"
LICENCE = "Apache-2.0"


def main() -> None:
    """Makes a file and a card of each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="directories of finished runs")
    parser.add_argument("--preset", default="tuned", help="the preset that the runs started from")
    parser.add_argument("--name", help="in the zoo, by default the environment's; for one run")
    parser.add_argument("--episodes", type=int, default=32, help=f"of each evaluation, at least {LEAST_EPISODES}")
    parser.add_argument("--seed", type=int, default=1000, help=f"of the episodes, from {FRESH_SEEDS}")
    parser.add_argument("--out", type=Path, default=POLICIES, help="where the zoo's files are")
    options = parser.parse_args()
    try:
        require_possible(options)
        for directory in options.run:
            print(added(directory, options))
    except SoftRLError as error:
        sys.exit(f"zoo.py: {error}")


def require_possible(options: argparse.Namespace) -> None:
    """Raises: ConfigError for options that would make an untrue card."""
    if options.seed < FRESH_SEEDS:
        raise ConfigError(
            f"seed must be from {FRESH_SEEDS}, got {options.seed}: training looked at the episodes of 0, 1"
        )
    if options.episodes < LEAST_EPISODES:
        raise ConfigError(f"episodes must be at least {LEAST_EPISODES}, got {options.episodes}")
    if options.name and len(options.run) > 1:
        raise ConfigError(f"name is of one run, got {len(options.run)} runs: leave it out")


def added(directory: Path, options: argparse.Namespace) -> str:
    """Writes the run's policy and its card. Returns: what they say, in one line."""
    run = softrl.load(directory)
    if run.config.training.steps > run.metrics[-1]["env_steps"]:
        raise ConfigError(f"{directory} is not finished: the same command goes on with it")
    plain = replace(acting(run.assembled, run.best_policy), version=run.version)
    name = options.name or run.config.env.env
    chosen, returns, said = lighter(run, plain, options)
    data = numpy_policy.encode(chosen, env=run.config.env.env, softrl=softrl.__version__)
    about = identity.read(directory)
    card = card_of(name, run, about, options, np.asarray(returns, float), data, dtype(chosen))
    file = options.out / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    durable.write_atomically(file, data)
    durable.write_atomically(file.with_suffix(".json"), durable.encode(card, indent=2).encode() + b"\n")
    return f"{file}: {len(data):,} bytes, {card.dtype}, {said}"


def lighter(run: Run, plain: NumpyPolicy, options: argparse.Namespace) -> tuple[NumpyPolicy, np.ndarray, str]:
    """The policy with kernels in float16 where its return holds, otherwise as it is; its returns; both in words."""
    full, half = (returns_of(run, policy, options) for policy in (plain, halved(plain)))
    error = np.sqrt((full.var(ddof=1) + half.var(ddof=1)) / len(full))
    said = f"float32 {full.mean():.1f} ± {full.std():.1f}, float16 {half.mean():.1f} ± {half.std():.1f}, one "
    said += f"standard error is {error:.2f}"
    holds = abs(half.mean() - full.mean()) <= error
    return (halved(plain), half, said) if holds else (plain, full, said)


def returns_of(run: Run, policy: NumpyPolicy, options: argparse.Namespace) -> np.ndarray:
    """Returns of the mode of what the policy's file gives back, `[episodes]`."""
    read = numpy_policy.decode(numpy_policy.encode(policy))
    seen = replace(run, best_policy=published(run.assembled, read))
    return seen.evaluate(episodes=options.episodes, seed=options.seed).deterministic_return


def halved(plain: NumpyPolicy) -> NumpyPolicy:
    """With the network's kernels, nearly all of it, in float16; statistics may be too large or too small for that."""
    kernels = {name: x.astype(np.float16) for name, x in plain.arrays.items() if name.endswith("/kernel")}
    return replace(plain, arrays=plain.arrays | kernels)


def dtype(plain: NumpyPolicy) -> str:
    """Of the network's kernels."""
    return next(x.dtype.name for name, x in plain.arrays.items() if name.endswith("/kernel"))


def card_of(
    name: str, run: Run, about: dict[str, Any], options: argparse.Namespace, returns: np.ndarray, data: bytes, kept: str
) -> Card:
    """The card of a policy file. Args: `about`: the run's config.json; `returns`: `[episodes]`; `kept`: its dtype."""
    last, env = run.metrics[-1], run.config.env.env
    best = next(line for line in run.metrics if line["updates"] == run.version)
    start = flat(softrl.preset(env, algorithm=run.config.algorithm, name=options.preset))
    return Card(
        name=name,
        task=env,
        algorithm=run.config.algorithm,
        preset=options.preset,
        changes={key: value for key, value in flat(run.config).items() if start[key] != value},
        return_mean=round(float(returns.mean()), 2),
        return_std=round(float(returns.std()), 2),
        episodes=len(returns),
        seed=options.seed,
        steps=last["env_steps"],
        updates=last["updates"],
        seconds=round(last["timing"]["wall_s"], 1),
        best_steps=best["env_steps"],
        best_updates=best["updates"],
        device=about["machine"]["device"],
        commit=about["commit"],
        versions=of_interest(about["versions"]),
        measured=of_interest(identity.surroundings()["versions"]),
        licence=LICENCE,
        dtype=kept,
        sha256=hashlib.sha256(data).hexdigest(),
        config=about["config"],
        environment=about["environment"],
    )


def of_interest(versions: dict[str, str]) -> dict[str, str]:
    """Those on which a robot's return may depend, of what was there."""
    return {package: versions[package] for package in VERSIONS if versions.get(package, MISSING) != MISSING}


if __name__ == "__main__":
    main()
