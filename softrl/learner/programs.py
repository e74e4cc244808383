"""A learner's programs, compiled before the first push, for a few fixed widths; nothing is ever compiled again."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.experience.batches import Rows
from softrl.learner import compute
from softrl.learner.compute import LearnerParts, State
from softrl.training.compilation import Wanted, compiled
from softrl.types import Hypers, PyTree, Spec, Transition

WIDTHS = (1, 16, 256)
"""Rows of a compiled call: a push or a question is cut into pieces and each is padded to the least that holds it."""


class LearnerPrograms(NamedTuple):
    """Executables, which refuse any other shape.

    init: `(key) -> State`. store: (width, to demonstrations?) → `(State, hypers, Transition) -> State`, donates its
    state. improve: `(State, hypers, updates) -> (State, scalars [I])`, donates its state. scalars: their names.
    act: width → `(State, obs, deterministic) -> (acts, action)`. abstract: shapes of the state.
    """

    init: Callable[[jax.Array], State]
    store: dict[tuple[int, bool], Callable[[State, Hypers, Transition], State]]
    improve: Callable[[State, PyTree, jax.Array], tuple[State, jax.Array]]
    scalars: tuple[str, ...]
    act: dict[int, Callable[[State, PyTree, jax.Array], tuple[Any, jax.Array]]]
    abstract: State


def abstract_state(parts: LearnerParts, hypers: Hypers) -> State:
    """Shapes and types of a learner's state; allocates nothing."""
    return jax.eval_shape(partial(compute.init, parts, hypers), _key())


def _key() -> jax.ShapeDtypeStruct:
    return jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))


def compile_learner(parts: LearnerParts, hypers: Hypers) -> LearnerPrograms:
    """Traces and compiles everything; XLA compiles in parallel threads."""
    start, abstract = partial(compute.init, parts, hypers), abstract_state(parts, hypers)
    rings = (False, True) if parts.demonstrations is not None else (False,)
    stores = {
        (width, ring): Wanted(partial(_store, parts, abstract, hypers, width, ring))
        for width in WIDTHS
        for ring in rings
    }
    act = jax.jit(partial(compute.act, parts))
    acts = {
        width: Wanted(partial(act.lower, abstract, _obs(parts.spec, width), jnp.bool_(False)), busy=True)
        for width in WIDTHS
    }
    improve = jax.jit(partial(_improve, parts), donate_argnums=0)
    info = jax.eval_shape(partial(compute.improve, parts), abstract, hypers, jnp.int32(0))[1]
    scalars = (*info.agent._fields, "finite")
    improve, init, *rest = compiled(
        Wanted(partial(improve.lower, abstract, hypers, jnp.int32(0)), busy=True),
        Wanted(partial(jax.jit(start).lower, _key())),
        *stores.values(),
        *acts.values(),
    )
    stores, acts = dict(zip(stores, rest, strict=False)), dict(zip(acts, rest[len(stores) :], strict=True))
    return LearnerPrograms(init, stores, improve, scalars, acts, abstract)


def _improve(parts: LearnerParts, state: State, hypers: PyTree, updates: jax.Array) -> tuple[State, jax.Array]:
    state, info = compute.improve(parts, state, hypers, updates)
    return state, jnp.stack(jax.tree.leaves(info))  # one array, since each costs the host a call


def _store(parts: LearnerParts, state: State, hypers: Hypers, width: int, demonstrations: bool):
    of, spec = jax.ShapeDtypeStruct, parts.spec
    obs, action = _obs(spec, width), of((width, *spec.action.shape), spec.action.dtype)
    number, flag = of((width,), np.float32), of((width,), bool)
    rows = Transition(obs, action, number, flag, flag, obs, flag)
    store = partial(compute.store, parts, demonstrations=demonstrations)
    return jax.jit(store, donate_argnums=0).lower(state, hypers, rows)


def _obs(spec: Spec, width: int) -> PyTree:
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((width, *s.shape), s.dtype), spec.obs)


def pieces(tree: PyTree) -> Iterator[tuple[int, PyTree]]:
    """A tree of `[B, ...]` arrays cut into parts of at most the greatest width, each with the width to pad it to."""
    count = len(jax.tree.leaves(tree)[0])
    for begin in range(0, count, WIDTHS[-1]):
        part = jax.tree.map(lambda x, begin=begin: x[begin : begin + WIDTHS[-1]], tree)
        rows = min(WIDTHS[-1], count - begin)
        yield next(width for width in WIDTHS if rows <= width), part


def filled(tree: PyTree, width: int) -> PyTree:
    """Copies of arrays `[B, ...]` with rows of zeros added, up to `width`; callers may write over theirs meanwhile."""
    return jax.tree.map(lambda x: np.concatenate([x, np.zeros((width - len(x), *x.shape[1:]), x.dtype)]), tree)


def padded(rows: Rows, width: int) -> Transition:
    """Rows as a transition of `width` of which only the first ones are valid."""
    rows, count = filled(rows, width), len(rows.reward)
    return Transition(*rows[:4], np.zeros(width, bool), rows.next_obs, np.arange(width) < count)
