#!/usr/bin/env python
"""Why exact inference is the wrong controller: a short bridge over lava and a long safe road, solved both ways.

    python experiments/optimism/run.py [--out experiments/optimism]

writes optimism.png and optimism.json. The exact posterior over trajectories (Levine 2018, section 2.3) infers the
dynamics together with the actions, so it believes that it will not slip and takes the bridge; the variational policy
(section 3) keeps the dynamics and takes the road. Temperature and price of luck are swept in one compiled call each.
"""

import argparse
import functools
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib import patheffects

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from softrl import inference
from softrl.envs.gridworld import BRIDGE, LAVA_REWARD, SLIP, STEP_REWARD, World, gridworld, where

HORIZON = 40
SHOWN_TEMPERATURE = 0.5
BELIEF, EARNED, CAREFUL = "#b5179e", "#f77f00", "#0077b6"
LEGEND = {"fontsize": 8, "facecolor": "white", "edgecolor": "none", "framealpha": 0.9}


class Outcome(NamedTuple):
    """Of one distribution over trajectories: `expected` reward, probability of a `fall` and of the `goal`."""

    expected: jax.Array
    fall: jax.Array
    goal: jax.Array


class Solution(NamedTuple):
    """Everything at one temperature; bounds and the gap in nats."""

    log_evidence: jax.Array
    best_bound: jax.Array
    bound_of_posterior_policy: jax.Array
    gap: jax.Array
    believed: Outcome
    executed: Outcome
    variational: Outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the figure and the numbers")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with jax.enable_x64(True):
        world = gridworld()
        temperatures = jnp.geomspace(0.1, 10.0, 81)
        prices = jnp.geomspace(1.0, 100.0, 81)
        by_temperature = jax.jit(jax.vmap(functools.partial(solve, world)))(temperatures)
        by_price = jax.jit(jax.vmap(functools.partial(solve_priced, world)))(prices)
        shown = jax.jit(functools.partial(solve, world))(SHOWN_TEMPERATURE)
        numbers = summary(world, shown, temperatures, by_temperature, prices, by_price)
        draw(out / "optimism.png", world, temperatures, by_temperature, prices, by_price)
    (out / "optimism.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print(json.dumps(numbers["at_shown_temperature"], indent=1))
    print(f"written: {out / 'optimism.png'}, {out / 'optimism.json'}")


def solve(world: World, temperature: jax.Array) -> Solution:
    """Both inferences at one temperature, and what each policy earns in the world as it is."""
    mdp = world.mdp
    posterior = inference.posterior(mdp, HORIZON, temperature=temperature)
    careful = inference.backward_messages(mdp, HORIZON, temperature=temperature, mode="variational").log_policy
    return Solution(
        log_evidence=posterior.log_evidence,
        best_bound=inference.elbo(mdp, careful, temperature=temperature),
        bound_of_posterior_policy=inference.elbo(mdp, posterior.log_policy, temperature=temperature),
        gap=inference.optimism_gap(mdp, HORIZON, temperature=temperature),
        believed=outcome(world, posterior.state_action_marginals),
        executed=outcome(world, execute(mdp, posterior.log_policy)),
        variational=outcome(world, execute(mdp, careful)),
    )


def solve_priced(world: World, price: jax.Array) -> tuple[Outcome, Outcome]:
    """What the agent who pays `price` for a nat of luck believes, and what its policy does in the world as it is."""
    settings = {"temperature": SHOWN_TEMPERATURE, "dynamics_price": price}
    result = inference.structured_posterior(world.mdp, HORIZON, **settings)
    believed = inference.visitation(result.initial, result.log_policy, result.dynamics)
    return outcome(world, believed), outcome(world, execute(world.mdp, result.log_policy))


def execute(mdp: inference.TabularMDP, log_policy: jax.Array) -> jax.Array:
    return inference.visitation(jnp.asarray(mdp.initial), log_policy, jnp.asarray(mdp.transition))


def outcome(world: World, visits: jax.Array) -> Outcome:
    lava = [state for (i, j), state in world.cells.items() if BRIDGE[i][j] == "~"]
    # Lava and goal are left for good after one step, so a sum over time is a probability.
    by_state = visits.sum((0, 2))
    return Outcome(
        expected=jnp.sum(visits * jnp.asarray(world.mdp.reward)[None]),
        fall=by_state[jnp.asarray(lava)].sum(),
        goal=by_state[world.cells[where(BRIDGE, "G")]],
    )


def summary(world: World, shown: Solution, temperatures, by_temperature: Solution, prices, by_price) -> dict:
    """The numbers of the caption, and the curves."""
    flip = np.asarray(by_price[1].fall) < 0.5
    listed = lambda tree: jax.tree.map(lambda x: np.asarray(x).tolist(), tree)
    return {
        "world": {"grid": BRIDGE, "slip": SLIP, "step": STEP_REWARD, "lava": LAVA_REWARD, "horizon": HORIZON},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "numpy", "matplotlib")},
        "temperature": SHOWN_TEMPERATURE,
        "at_shown_temperature": named(listed(shown)),
        "least_price_at_which_most_runs_do_not_fall": float(prices[np.argmax(flip)]) if flip.any() else None,
        "temperatures": np.asarray(temperatures).tolist(),
        "by_temperature": named(listed(by_temperature)),
        "prices": np.asarray(prices).tolist(),
        "by_price": {"believed": named(listed(by_price[0])), "executed": named(listed(by_price[1]))},
    }


def named(value):
    """NamedTuples as dictionaries, all the way down."""
    return {k: named(v) for k, v in value._asdict().items()} if hasattr(value, "_asdict") else value


def draw(path: Path, world: World, temperatures, by_temperature: Solution, prices, by_price) -> None:
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10})
    figure = plt.figure(figsize=(13.0, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.1, 1.0))
    draw_maps(top, world)
    axes = bottom.subplots(1, 4)
    temperatures = np.asarray(temperatures)
    draw_bounds(axes[0], temperatures, by_temperature)
    draw_gap(axes[1], temperatures, np.asarray(by_temperature.gap))
    draw_returns(axes[2], temperatures, by_temperature)
    draw_prices(axes[3], np.asarray(prices), *by_price)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def draw_maps(figure, world: World) -> None:
    posterior = inference.posterior(world.mdp, HORIZON, temperature=SHOWN_TEMPERATURE)
    settings = {"temperature": SHOWN_TEMPERATURE, "mode": "variational"}
    careful = inference.backward_messages(world.mdp, HORIZON, **settings).log_policy
    maps = (
        ("Exact posterior: what it believes", posterior.state_action_marginals, BELIEF),
        ("Its policy in the world as it is", execute(world.mdp, posterior.log_policy), EARNED),
        ("Variational policy in the world as it is", execute(world.mdp, careful), CAREFUL),
    )
    for axis, (title, visits, colour) in zip(figure.subplots(1, 3), maps, strict=True):
        draw_map(axis, world, np.asarray(visits), title, colour)


def draw_map(axis, world: World, visits: np.ndarray, title: str, colour: str) -> None:
    result = outcome(world, jnp.asarray(visits))
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    picture = np.ones((len(BRIDGE), len(BRIDGE[0]), 3))
    for (row, column), state in world.cells.items():
        # How often a cell is entered, roughly: visits without waiting; the square root shows the rare ones.
        weight = np.sqrt(min(visits[:, state].sum(), 1.0))
        ground = np.array([1.0, 0.86, 0.80]) if BRIDGE[row][column] == "~" else np.ones(3)
        picture[row, column] = (1 - weight) * ground + weight * rgb
    for row, column in np.argwhere(np.array([list(line) for line in BRIDGE]) == "#"):
        picture[row, column] = 0.35
    axis.imshow(np.clip(picture, 0.0, 1.0))
    axis.set_xticks(np.arange(-0.5, len(BRIDGE[0])), [])
    axis.set_yticks(np.arange(-0.5, len(BRIDGE)), [])
    axis.grid(color="0.8", linewidth=0.6)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for mark in "SG":
        text = axis.text(*reversed(where(BRIDGE, mark)), mark, ha="center", va="center", fontweight="bold")
        text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])
    for row, column in world.cells:
        if BRIDGE[row][column] == "~":
            axis.text(column, row, "lava", ha="center", va="center", color="#9d0208", fontsize=6.5)
    axis.set_title(title, color=colour, fontweight="bold")
    fall = 100 * float(result.fall)
    falls = "never falls" if fall < 1e-6 else f"falls into the lava {fall:.{1 if fall > 1 else 2}f} %"
    text = f"{falls},  expected return {result.expected:.1f}"
    axis.set_xlabel(text.replace("-", "−"))


def draw_bounds(axis, temperatures: np.ndarray, solution: Solution) -> None:
    """In reward units, so that curves at all temperatures share an axis."""
    evidence, best, executed = (
        temperatures * np.asarray(x)
        for x in (solution.log_evidence, solution.best_bound, solution.bound_of_posterior_policy)
    )
    axis.fill_between(temperatures, best, evidence, color="0.9", label=r"$\alpha$ optimism gap")
    axis.plot(temperatures, evidence, color=BELIEF, label=r"$\alpha$ log evidence")
    axis.plot(temperatures, best, color=CAREFUL, label=r"$\alpha$ ELBO, variational")
    axis.plot(temperatures, executed, color=EARNED, label=r"$\alpha$ ELBO, posterior's policy")
    axis.set(title="What inference promises", ylabel="reward units", ylim=(-88, -5))
    over_temperature(axis)
    axis.legend(**LEGEND, loc="lower left")


def draw_gap(axis, temperatures: np.ndarray, gap: np.ndarray) -> None:
    axis.plot(temperatures, gap, color="0.25")
    shown = np.interp(np.log(SHOWN_TEMPERATURE), np.log(temperatures), gap)
    axis.plot(SHOWN_TEMPERATURE, shown, marker="o", markersize=4, color="0.25")
    axis.annotate(f"{shown:.1f} nats", (SHOWN_TEMPERATURE, shown), xytext=(6, 4), textcoords="offset points")
    axis.set(title="The optimism gap", ylabel="log evidence − best ELBO, nats", yscale="log")
    over_temperature(axis)


def draw_returns(axis, temperatures: np.ndarray, solution: Solution) -> None:
    axis.plot(temperatures, solution.believed.expected, color=BELIEF, linestyle="--", label="posterior believes")
    axis.plot(temperatures, solution.executed.expected, color=EARNED, label="its policy earns")
    axis.plot(temperatures, solution.variational.expected, color=CAREFUL, label="variational policy earns")
    axis.set(title="What control earns", ylabel="expected return", ylim=(-76, -5))
    over_temperature(axis)
    axis.legend(**LEGEND, loc="lower left")


def over_temperature(axis) -> None:
    axis.set(xscale="log", xlabel=r"temperature $\alpha$")
    axis.axvline(SHOWN_TEMPERATURE, color="0.7", linewidth=0.8, linestyle=":", zorder=0)


def draw_prices(axis, prices: np.ndarray, believed: Outcome, executed: Outcome) -> None:
    axis.plot(prices, 100 * np.asarray(believed.fall), color=BELIEF, linestyle="--", label="believed")
    axis.plot(prices, 100 * np.asarray(executed.fall), color=EARNED, label="in the world as it is")
    axis.set(xscale="log", xlabel=r"price of luck $\lambda$ (1: posterior, $\infty$: variational)", ylabel="falls, %")
    axis.set_title(rf"Paying for luck ($\alpha$ = {SHOWN_TEMPERATURE:g})")
    axis.legend(**LEGEND)


if __name__ == "__main__":
    main()
