"""Decision processes for tests: awkward ones by hypothesis, plain ones by seed."""

import numpy as np
from hypothesis import strategies as st

from softrl.inference import TabularMDP

SHAPES = ((1, 1, 1), (3, 1, 3), (1, 3, 3), (3, 2, 4))
"""(states, actions, horizon), few, because each one compiles."""


def random_mdp(
    seed: int, states: int, actions: int, *, horizon: int | None = None, zeros: bool = True, prior: str = "none"
) -> TabularMDP:
    """A model with zeros in its transition; `horizon` makes the reward change with time; prior: none, soft or hard."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(states, 0.7), (states, actions))
    if zeros:
        keep = rng.random(transition.shape) < 0.6
        keep[..., 0] |= ~keep.any(-1)
        transition = np.where(keep, transition + 1e-3, 0.0)
        transition /= transition.sum(-1, keepdims=True)
    reward = rng.normal(size=(states, actions) if horizon is None else (horizon, states, actions))
    log_prior = None if prior == "none" else np.log(rng.dirichlet(np.ones(actions), states))
    if prior == "hard":
        removed = rng.random((states, actions)) < 0.5
        removed[np.arange(states), rng.integers(actions, size=states)] = False
        log_prior = np.where(removed, -np.inf, log_prior)
    initial = rng.dirichlet(np.ones(states))
    return TabularMDP(transition, reward, initial, log_prior)


@st.composite
def problems(draw: st.DrawFn) -> tuple[TabularMDP, int, float]:
    """(model, horizon, temperature), enumerable."""
    index = draw(st.integers(0, len(SHAPES) - 1))
    states, actions, horizon = SHAPES[index]
    mdp = random_mdp(
        draw(st.integers(0, 10_000)),
        states,
        actions,
        horizon=horizon if index % 2 else None,
        prior="hard" if index in (2, 3) and draw(st.booleans()) else "none",
    )
    return mdp, horizon, draw(st.sampled_from([0.3, 1.0, 2.5]))


def random_log_policy(seed: int, mdp: TabularMDP, horizon: int) -> np.ndarray:
    """`[T, S, A]`, nothing where the prior forbids."""
    states, actions = np.shape(mdp.transition)[:2]
    logits = np.random.default_rng(seed).normal(size=(horizon, states, actions))
    if mdp.log_prior is not None:
        logits = np.where(np.asarray(mdp.log_prior) > -np.inf, logits, -np.inf)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def deterministic_mdp(seed: int, states: int, actions: int, *, start: int | None = 0) -> TabularMDP:
    """Every action leads to one state; `start=None` spreads the start."""
    rng = np.random.default_rng(seed)
    transition = np.eye(states)[rng.integers(states, size=(states, actions))]
    initial = rng.dirichlet(np.ones(states)) if start is None else np.eye(states)[start]
    return TabularMDP(transition, rng.normal(size=(states, actions)), initial)
