"""Members: independent runs in one program. A solo run is a sweep of one."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from softrl.training.chunk import ChunkInfo, chunk
from softrl.training.evaluate import Evaluation, evaluate
from softrl.training.state import Program, RunState, init_run
from softrl.types import Env, Hypers, PyTree

AXES = RunState(clock=None, learner=0, env=0, rollout=0)
"""Everything has a member axis but the clock, so that branches on it stay branches."""


def scheme(member_map: str, members: int, platform: str) -> str:
    """`vmap` or `sequential`. On a CPU one member after the other is the faster: a batched product of eight small
    matrices runs slower than eight products (see `scripts/bench`)."""
    if member_map != "auto":
        return member_map
    return "sequential" if platform == "cpu" or members == 1 else "vmap"


def init_members(program: Program, keys: jax.Array, hypers: Hypers) -> RunState:
    """`init_run` for all members. `keys`: `[M]`; `hypers`: `[M]` leaves."""
    return jax.vmap(partial(init_run, program), out_axes=AXES)(keys, hypers)


def chunk_members(
    program: Program, run: RunState, hypers: Hypers, *, length: int, how: str
) -> tuple[RunState, ChunkInfo]:
    """`chunk` for all members; `how` as `scheme` returns it."""
    one = partial(chunk, program, length=length)
    if how == "vmap":
        return jax.vmap(one, in_axes=(AXES, 0), out_axes=(AXES, 0))(run, hypers)

    def member(args):
        (learner, env, rollout), member_hypers = args
        return one(RunState(run.clock, learner, env, rollout), member_hypers)

    new, info = _sequential(member, ((run.learner, run.env, run.rollout), hypers))
    return new._replace(clock=jax.tree.map(lambda x: x[0], new.clock)), info


def evaluate_members(env: Env, program: Program, policies: PyTree, key: jax.Array, *, how: str) -> Evaluation:
    """`evaluate` for the policies of all members, all on the same episodes."""

    def member(policy):
        return evaluate(env, program.agent, policy, key)

    return jax.vmap(member)(policies) if how == "vmap" else _sequential(member, policies)


def _sequential(function: Callable[[Any], Any], members: PyTree) -> PyTree:
    if jax.tree.leaves(members)[0].shape[0] == 1:
        # A map over one would copy replay in and out of its loop.
        return joined(function(single(members)))
    return jax.lax.map(function, members)


def single(tree: PyTree) -> PyTree:
    """`[1, ...]` leaves without their member axis."""
    return jax.tree.map(lambda x: x[0], tree)


def joined(tree: PyTree) -> PyTree:
    """Leaves with a member axis of one, which every run has."""
    return jax.tree.map(lambda x: x[None], tree)
