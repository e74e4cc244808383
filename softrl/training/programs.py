"""The compiled programs of a run: init, chunk and evaluation, lowered once and compiled side by side."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from softrl.envs.host import HostEnv
from softrl.training import devices, hosted, lanes, members
from softrl.training.assemble import Assembled, member_hypers, member_keys
from softrl.training.chunk import ChunkInfo
from softrl.training.compilation import Wanted, compiled
from softrl.training.evaluate import Evaluation, evaluation_key
from softrl.training.hosted_device import abstract_state
from softrl.training.state import RunState
from softrl.types import Hypers, PyTree


class RunPrograms(NamedTuple):
    """Compiled and ready.

    init: `() -> RunState`. start: `(keys, hypers) -> RunState`, for any members. chunk: `(RunState, hypers) ->
    (RunState, ChunkInfo)`, donates its run. publish: `(agent states) -> policies`, `[M]` leaves. evaluate: `(policies,
    seed) -> Evaluation` with `[M, E]` leaves; a seed is a set of episodes. close: frees environments on the host, which
    are opened again when they are asked for. hypers: `[M]` leaves. abstract: the run's shapes and shardings. seconds:
    wall clock that compiling took.
    """

    init: Callable[[], RunState]
    start: Callable[[jax.Array, PyTree], RunState]
    chunk: Callable[[RunState, PyTree], tuple[RunState, ChunkInfo]]
    publish: Callable[[PyTree], PyTree]
    evaluate: Callable[[PyTree, int], Evaluation]
    close: Callable[[], None]
    hypers: Hypers
    abstract: RunState
    seconds: float


def abstract_run(assembled: Assembled) -> RunState:
    """Shapes, types and, on several devices, shardings of the run; allocates nothing."""
    if isinstance(assembled.program.env, HostEnv):
        return abstract_state(assembled)
    keys, hypers = jax.eval_shape(partial(_keys, assembled)), jax.eval_shape(partial(member_hypers, assembled))
    run = jax.eval_shape(partial(members.init_members, assembled.program), keys, hypers)
    mesh = mesh_of(assembled)
    if mesh is None:
        return run
    placed = devices.shardings(mesh, run)
    return jax.tree.map(lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), run, placed)


def compile_programs(assembled: Assembled, abstract: RunState | None = None) -> RunPrograms:
    """Traces and compiles them all; XLA compiles them in parallel threads. `abstract`: from `abstract_run`."""
    started = time.perf_counter()
    abstract = abstract_run(assembled) if abstract is None else abstract
    hypers, keys = member_hypers(assembled), _keys(assembled)
    build = _hosted if isinstance(assembled.program.env, HostEnv) else _on_device
    start, *others = build(assembled, abstract, hypers, keys)
    seconds = time.perf_counter() - started
    return RunPrograms(partial(start, keys, hypers), start, *others, hypers, abstract, seconds)


def _on_device(assembled: Assembled, abstract: RunState, hypers: Hypers, keys: jax.Array) -> tuple[Callable, ...]:
    """start, chunk, publish, evaluate, close: see `RunPrograms`."""
    config, mesh = assembled.config, mesh_of(assembled)
    platform = jax.local_devices()[0].platform
    how = "vmap" if mesh is not None else members.scheme(config.training.member_map, config.training.seeds, platform)
    where = None if mesh is None else devices.shardings(mesh, abstract)
    placed: dict[str, Any] = {} if where is None else {"out_shardings": where}
    step = partial(members.chunk_members, assembled.program, length=config.training.chunk_steps, how=how)
    evaluation = partial(members.evaluate_members, assembled.evaluation, assembled.program, how=how)
    both = {} if where is None else {"out_shardings": (where, None)}
    publish = jax.jit(jax.vmap(assembled.program.agent.policy), **devices.by_member(mesh))
    lane_count = lanes.count(how, config.training.seeds) if platform == "cpu" else 1
    begin, step = (
        jax.jit(partial(members.init_members, assembled.program), **placed),
        jax.jit(step, donate_argnums=0, **both),
    )
    chunk, evaluate, start = compiled(
        Wanted(partial(step.lower, *lanes.one_lane(lane_count, abstract, hypers)), busy=True),
        Wanted(partial(jax.jit(evaluation).lower, publish.eval_shape(abstract.learner.agent), evaluation_key(0))),
        Wanted(partial(begin.lower, keys, hypers)),
    )
    chunk = lanes.side_by_side(chunk, lane_count)
    return start, chunk, publish, lambda policies, seed: evaluate(policies, evaluation_key(seed)), lambda: None


def _hosted(assembled: Assembled, abstract: RunState, hypers: Hypers, keys: jax.Array) -> tuple[Callable, ...]:
    loop = hosted.compile_hosted(assembled, abstract, hypers)
    functions = hosted.started, hosted.chunk, hosted.evaluate_policies, hosted.close
    start, chunk, evaluate, close = (partial(function, loop) for function in functions)
    return start, chunk, jax.vmap(assembled.program.agent.policy), evaluate, close


def for_members(programs: RunPrograms, assembled: Assembled) -> RunPrograms:
    """The same compiled programs for the members of another `Assembled` of the same config; traces nothing."""
    hypers = member_hypers(assembled)
    return programs._replace(init=partial(programs.start, _keys(assembled), hypers), hypers=hypers)


def _keys(assembled: Assembled) -> jax.Array:
    return member_keys(assembled.config, assembled.members)


def mesh_of(assembled: Assembled) -> Mesh | None:
    """The devices that a run is spread over; None where it has one, or asks for no more than one of a CPU."""
    training = assembled.config.training
    if training.data_shards == 1 and jax.local_devices()[0].platform == "cpu":
        return None
    return devices.make_mesh(training.seeds, training.data_shards)
