"""The compiled programs of a run: init, chunk and evaluation, lowered once and compiled side by side."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax

from softrl.clock import Counter, Purpose, at
from softrl.training import devices, members
from softrl.training.assemble import Assembled, member_hypers, member_keys
from softrl.training.chunk import ChunkInfo
from softrl.training.evaluate import Evaluation
from softrl.training.state import RunState
from softrl.types import PyTree


class Programs(NamedTuple):
    """Compiled and ready.

    init: `() -> RunState`. chunk: `(RunState, hypers) -> (RunState, ChunkInfo)`, donates its run. evaluate:
    `(agent states) -> Evaluation` with `[M, E]` leaves. hypers: `[M]` leaves. abstract: the run's shapes and
    shardings. seconds: wall clock that compiling took.
    """

    init: Callable[[], RunState]
    chunk: Callable[[RunState, PyTree], tuple[RunState, ChunkInfo]]
    evaluate: Callable[[PyTree], Evaluation]
    hypers: PyTree
    abstract: RunState
    seconds: float


def abstract_run(assembled: Assembled) -> RunState:
    """Shapes, types and, on several devices, shardings of the run; allocates nothing."""
    config = assembled.config
    keys, hypers = jax.eval_shape(partial(member_keys, config)), jax.eval_shape(partial(member_hypers, assembled))
    run = jax.eval_shape(partial(members.init_members, assembled.program), keys, hypers)
    mesh = _mesh(assembled)
    if mesh is None:
        return run
    placed = devices.shardings(mesh, run)
    return jax.tree.map(lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), run, placed)


def compile_programs(assembled: Assembled) -> Programs:
    """Traces and compiles all three; XLA compiles them in parallel threads."""
    started = time.perf_counter()
    config = assembled.config
    abstract, mesh = abstract_run(assembled), _mesh(assembled)
    platform = jax.local_devices()[0].platform
    how = "vmap" if mesh is not None else members.scheme(config.training.member_map, config.training.seeds, platform)
    where = None if mesh is None else devices.shardings(mesh, abstract)
    placed: dict[str, Any] = {} if where is None else {"out_shardings": where}
    hypers, keys = member_hypers(assembled), member_keys(config)
    step = partial(members.chunk_members, assembled.program, length=config.training.chunk_steps, how=how)
    look = partial(members.evaluate_members, assembled.evaluation, assembled.program, how=how)
    both = {} if where is None else {"out_shardings": (where, None)}
    eval_key = at(jax.random.key(0), Counter.of(0), Purpose.EVALUATE)
    lowered = (
        jax.jit(partial(members.init_members, assembled.program), **placed).lower(keys, hypers),
        jax.jit(step, donate_argnums=0, **both).lower(abstract, hypers),
        jax.jit(look).lower(abstract.learner.agent, eval_key),
    )
    # LLVM's first level: half the compile time, updates as fast, physics slower by 4 % (`scripts/bench` measures).
    options = {"xla_backend_optimization_level": 1} if platform == "cpu" else {}
    with ThreadPoolExecutor(len(lowered)) as pool:
        init, chunk, evaluate = pool.map(lambda program: program.compile(compiler_options=options), lowered)
    return Programs(
        init=lambda: init(keys, hypers),
        chunk=chunk,
        evaluate=lambda agents: evaluate(agents, eval_key),
        hypers=hypers,
        abstract=abstract,
        seconds=time.perf_counter() - started,
    )


def _mesh(assembled: Assembled):
    training = assembled.config.training
    if training.data_shards == 1 and jax.local_devices()[0].platform == "cpu":
        return None
    return devices.make_mesh(training.seeds, training.data_shards)
