"""A world on a grid, as a table: a short bridge over lava and a long safe road, the classic of optimism.

The exact posterior over trajectories (Levine 2018, §2.3) believes that it will not slip and takes the bridge; the
variational policy (§3) takes the road.
"""

from typing import NamedTuple

import numpy as np

from softrl.envs.tables import tabular
from softrl.inference.mdp import TabularMDP
from softrl.types import Simulator

BRIDGE = (
    ".........",
    ".#######.",
    ".#~~~~~#.",
    "S.......G",
    ".#~~~~~#.",
)
"""S start, G goal, ~ lava, # wall."""

SLIP, STEP_REWARD, LAVA_REWARD = 0.2, -1.0, -50.0
"""SLIP: chance that a move goes to one of its two sides instead."""

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Up, right, down, left, as changes of row and column: the four actions."""

Cell = tuple[int, int]


class World(NamedTuple):
    """mdp: the model; its last state is the end, which pays nothing. cells: (row, column) to state."""

    mdp: TabularMDP
    cells: dict[Cell, int]


def gridworld(
    grid: tuple[str, ...] = BRIDGE,
    *,
    slip: float = SLIP,
    step_reward: float = STEP_REWARD,
    lava_reward: float = LAVA_REWARD,
) -> World:
    """The grid as a `TabularMDP` with a uniform action prior; lava and goal lead to the end by their single action."""
    cells = [(i, j) for i, row in enumerate(grid) for j, mark in enumerate(row) if mark != "#"]
    cells = {cell: index for index, cell in enumerate(cells)}
    end = len(cells)
    transition = np.zeros((end + 1, len(MOVES), end + 1))
    reward = np.full((end + 1, len(MOVES)), step_reward)
    log_prior = np.full((end + 1, len(MOVES)), -np.log(len(MOVES)))
    single = np.where(np.arange(len(MOVES)) == 0, 0.0, -np.inf)
    for (row, column), state in cells.items():
        mark = grid[row][column]
        if mark in "~G":
            transition[state, :, end] = 1.0
            reward[state], log_prior[state] = (lava_reward if mark == "~" else 0.0), single
            continue
        for action in range(len(MOVES)):
            for turn, chance in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
                down, right = MOVES[(action + turn) % len(MOVES)]
                transition[state, action, cells.get((row + down, column + right), state)] += chance
    transition[end, :, end] = 1.0
    reward[end], log_prior[end] = 0.0, single
    initial = np.zeros(end + 1)
    initial[cells[where(grid, "S")]] = 1.0
    return World(TabularMDP(transition, reward, initial, log_prior), cells)


def where(grid: tuple[str, ...], mark: str) -> Cell:
    """The first cell with this mark."""
    return next((i, row.index(mark)) for i, row in enumerate(grid) if mark in row)


def bridge(*, slip: float = SLIP, step_reward: float = STEP_REWARD, lava_reward: float = LAVA_REWARD) -> Simulator:
    """The bridge and the road as an environment; actions are the four moves."""
    return tabular(gridworld(slip=slip, step_reward=step_reward, lava_reward=lava_reward).mdp)
