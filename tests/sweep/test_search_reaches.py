"""Searches reach what the whole grid reaches, for a third of its environment steps."""

from pathlib import Path

import pytest

from softrl.sweep.driver import run
from softrl.sweep.plan import plan
from softrl.sweep.results import Result
from softrl.sweep.spec import load
from tests.sweep import tiny

MEMBERS = 18
SIZES = {
    "width": 32,
    "depth": 2,
    "num_envs": 16,
    "episode_length": 50,
    "batch_size": 64,
    "replay_size": 16_384,
    "learning_starts": 512,
    "updates_per_step": 4,
    "chunk_steps": 32,
    "eval_every": 1_536,
    "eval_episodes": 64,
    "steps": 18_432,
    "gamma": 0.95,
    "auto_temperature": False,
    "temperature": 0.02,
}
FOUR_DECADES = [1e-5, 1e-1]
GRID = {"critic_lr": {"log": FOUR_DECADES, "n": MEMBERS}}
DRAWN = {"critic_lr": {"log_uniform": FOUR_DECADES, "n": MEMBERS // 3, "seed": 1}}
SEARCHES = {
    "halving": (GRID, {"method": "halving", "eta": 3, "rungs": 3}),
    "pbt": (DRAWN, {"method": "pbt", "share": 0.34, "factor": 2.0}),
}
CLOSE = 0.05
"""Of a best return of about −3.28; a random policy has −5, and the good rates, 7e-4 to 0.02, differ by less."""


def final(rows: list[Result]) -> float:
    """The best return at the end of any member that went the whole way."""
    return max(row.final_return for row in rows if row.status == "done")


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> float:
    """What the best of all members reaches."""
    return final(run(tiny.spec(GRID, **SIZES), tmp_path_factory.mktemp("grid")).results)


@pytest.mark.slow
@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_reaches_the_grids_best_for_a_third_of_its_steps(method: str, grid: float, tmp_path: Path):
    axes, search = SEARCHES[method]
    words = tiny.spec(axes, search=search, **SIZES)
    steps = sum(group.env_steps for group in plan(load(words)).groups)
    assert steps <= MEMBERS * SIZES["steps"] / 3
    assert final(run(words, tmp_path).results) >= grid - CLOSE
