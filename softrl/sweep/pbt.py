"""Population-based training inside a compiled population: the worst copy the best and try other hyperparameters.

Source: Jaderberg et al. 2017, arXiv:1711.09846; exploit by truncation, explore by perturbation. A copy takes the whole
state, replay and optimisers included, but its keys: those stay its own, so that copies part at once.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl.config import flat, replaced
from softrl.training.config import Config
from softrl.training.session import Between
from softrl.training.state import RunState
from softrl.types import PyTree


def between(
    search: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]], members: int, config: Config
) -> Between:
    """What a session does after each evaluation. `members`: slots that count, the rest are left alone."""
    period = config.eval_chunks * search["every"]

    def select(run: RunState, hypers: PyTree, line: dict[str, Any]):
        chunk = int(run.clock.step) // config.training.chunk_steps
        if chunk == 0 or chunk % period:
            return run, hypers, {}
        scores = np.asarray(line["eval"]["return_mean"])[:members]
        frozen = np.asarray(line["health"]["code"])[:members] != 0
        parents = np.arange(config.training.seeds)
        parents[:members] = ranked_parents(scores, frozen, search["share"])
        key = jax.random.fold_in(jax.random.key(search["seed"], impl="threefry2x32"), chunk)
        run, hypers = exploit_and_explore(run, hypers, jnp.asarray(parents), key, search["factor"], dict(ranges))
        known = flat(hypers)
        values = {name: np.asarray(known[name]).tolist() for name in ranges}
        return run, hypers, {"parent": parents.tolist(), "hypers": values}

    return select


def ranked_parents(scores: np.ndarray, frozen: np.ndarray, share: float) -> np.ndarray:
    """Whose state each member goes on with: of M members the worst ⌊M·share⌋ (at least one) take the best one's,
    second worst the second best's and so on; a frozen member or one without a finite score is worse than any other,
    and nobody's parent.

    Args: `scores`, `frozen`: `[M]`. Returns: `[M]` indices; a member that goes on with its own state has its own.
    """
    members, well = len(scores), np.isfinite(scores) & ~frozen
    order = np.argsort(-np.where(well, scores, -np.inf), kind="stable")
    count = min(max(int(members * share), 1), members // 2)
    parents, fit = np.arange(members), [slot for slot in order[:count] if well[slot]]
    for place, slot in enumerate(order[members - count :][::-1]):
        parents[slot] = fit[place % len(fit)] if fit else slot
    return parents


@partial(jax.jit, static_argnums=4, donate_argnums=0)
def _copied(run: RunState, hypers: PyTree, parents: jax.Array, key: jax.Array, factor: float):
    moved = jax.tree.map(lambda x: x[parents], run._replace(clock=()))
    moved = moved._replace(
        clock=run.clock, learner=moved.learner._replace(key=run.learner.key), env=moved.env._replace(key=run.env.key)
    )
    copied = parents != jnp.arange(parents.shape[0])
    draws = jax.random.bernoulli(key, 0.5, (len(jax.tree.leaves(hypers)), parents.shape[0]))
    gathered = jax.tree.map(lambda x: x[parents], hypers)
    scale = jnp.where(copied[None], jnp.where(draws, factor, 1.0 / factor), 1.0)
    return moved, gathered, scale


def exploit_and_explore(
    run: RunState,
    hypers: PyTree,
    parents: jax.Array,
    key: jax.Array,
    factor: float,
    ranges: Mapping[str, tuple[float, float]],
) -> tuple[RunState, PyTree]:
    """Every member with its parent's state by a gather; copies with every searched hyperparameter times or over
    `factor`, within its range. Consumes `run`.

    Args: `run`: M members; `hypers`: `[M]` leaves; `parents`: `[M]`; `ranges`: hyperparameter -> (low, high).
    """
    spread = jax.tree.map(lambda x: x.sharding, run)
    moved, gathered, scale = _copied(run, hypers, parents, key, factor)
    # A gather forgets how members were spread over devices; hyperparameters belong to none.
    moved = jax.device_put(moved, spread)
    gathered, scale = jax.tree.map(jnp.asarray, jax.device_get((gathered, scale)))
    known = flat(gathered)
    values = {
        name: jnp.clip(known[name] * row, low, high).astype(jnp.float32)
        for (name, (low, high)), row in zip(ranges.items(), scale[: len(ranges)], strict=True)
    }
    return moved, replaced(gathered, values)
