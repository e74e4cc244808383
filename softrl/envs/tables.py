"""A table as an environment: what exact inference solves, deep learners can be held against."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.inference import mdp as model
from softrl.inference.mdp import TabularMDP
from softrl.types import Discrete, Simulator


class TableState(NamedTuple):
    """Of one environment. state: `[]` index of the state it is in. key, steps: of its draws."""

    state: jax.Array
    key: jax.Array
    steps: jax.Array


class Drawing(NamedTuple):
    """successors: `[S, A, S]` and initial `[S]`, cumulative over the last axis, 1 at its end. reward: `[S, A]`. final:
    `[S]` bool, whether a state ends an episode."""

    successors: jax.Array
    initial: jax.Array
    reward: jax.Array
    final: jax.Array


def tabular(mdp: TabularMDP) -> Simulator:
    """The model as a simulator in JAX: `softrl.train(config, env=tabular(mdp))`.

    Observations are one-hot, `[S]`; actions `Discrete(A)`. A state that every action leads back to, unpaid, ends the
    episode when it is reached: as in exact inference it is worth 0 and has no entropy. Elsewhere every action can be
    taken; what else the model's prior says of actions goes to the learner, `softrl.train(log_prior=…)`, as
    finite numbers.
    Args: `mdp`: with a reward that does not change with time, `[S, A]`.
    Raises: ValueError naming what does not fit.
    """
    mdp = model.validate(mdp)
    transition, reward = np.asarray(mdp.transition, np.float64), np.asarray(mdp.reward)
    stays = np.einsum("sas->sa", transition) == 1.0
    final = np.all(stays & (reward == 0.0), axis=1)
    drawing = Drawing(
        jnp.asarray(_cumulative(transition)),
        jnp.asarray(_cumulative(np.asarray(mdp.initial, np.float64))),
        jnp.asarray(reward, jnp.float32),
        jnp.asarray(final),
    )
    return Simulator(partial(_reset, drawing), partial(_step, drawing), Discrete(mdp.num_actions))


def _cumulative(probabilities: np.ndarray) -> np.ndarray:
    summed = np.cumsum(probabilities, axis=-1)
    return (summed / summed[..., -1:]).astype(np.float32)


def _draw(key: jax.Array, cumulative: jax.Array) -> jax.Array:
    """The first index whose cumulative probability exceeds a uniform number: none of probability zero."""
    return jnp.sum(jax.random.uniform(key) >= cumulative).astype(jnp.int32)


def _seen(drawing: Drawing, state: jax.Array) -> jax.Array:
    return jax.nn.one_hot(state, len(drawing.final))


def _reset(drawing: Drawing, key: jax.Array, index: jax.Array) -> tuple[TableState, jax.Array]:
    key, first = jax.random.split(key)
    state = _draw(first, drawing.initial)
    return TableState(state, key, jnp.uint32(0)), _seen(drawing, state)


def _step(drawing: Drawing, sim: TableState, action: jax.Array):
    after = _draw(jax.random.fold_in(sim.key, sim.steps), drawing.successors[sim.state, action])
    paid = drawing.reward[sim.state, action]
    return TableState(after, sim.key, sim.steps + 1), _seen(drawing, after), paid, drawing.final[after]
