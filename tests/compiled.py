"""Compiled programs that the tests of one process share, where only numbers differ.

For files whose tests train again and again, and are about what runs, sweeps and learners do with their programs. A test
of tracing or of compiling itself is in a file that does not ask for `compiled_once`.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import pytest

from softrl import run
from softrl.algorithm import Agent
from softrl.clock import Clock
from softrl.config import change
from softrl.envs.host import HostEnv
from softrl.learner import compute, learner
from softrl.learner.compute import LearnerParts
from softrl.learner.programs import LearnerPrograms, compile_learner
from softrl.replay import ReplayHypers
from softrl.sweep import batch
from softrl.training import hosted, inherit, lanes, opening, programs
from softrl.training.assemble import Assembled
from softrl.training.programs import RunPrograms
from softrl.training.state import RunState
from tests import tiny

_KEPT: dict[Hashable, Any] = {}
_COMPILE, _SHAPES, _HOSTED, _PARTS = (
    programs.compile_programs,
    programs.abstract_run,
    hosted.compile_hosted,
    compute.parts,
)

HOSTS_OWN = {"learning_starts": 0, "chunk_steps": 1, "eval_every": 1, "eval_episodes": 1, "overlap": True}
"""Of a run whose environments are on the host: what the host reads and the device's programs do not, at any value."""


def kept(key: Hashable, make: Callable[[], Any]) -> Any:
    """What `make` made when this process first asked for it."""
    if key not in _KEPT:
        _KEPT[key] = make()
    return _KEPT[key]


def forget() -> None:
    """Lets everything go."""
    _KEPT.clear()


def agent(key: Hashable, make: Callable[[], Agent], rows: Callable[[], Any], numbers: Any) -> tuple[Agent, Any, Any]:
    """An agent, its compiled `init` and its compiled `update`, the same for all numbers.

    Args: `key`: what the agent is made of; `rows`: gives a batch of the shapes that it learns from.
    """

    def compile_() -> tuple[Agent, Any, Any]:
        made, seed = make(), jax.random.key(0)
        arguments = jax.eval_shape(made.init, seed, numbers), jax.eval_shape(rows), numbers, seed, Clock.start()
        return made, tiny.compiled(made.init, seed, numbers), tiny.compiled(made.update, *arguments)

    return kept(("agent", key), compile_)


def share(patch: pytest.MonkeyPatch) -> None:
    """Until `patch` is undone runs, sweeps and learners take the programs of those before them."""
    for module in (opening, batch):
        patch.setattr(module, "compile_programs", _compiled)
    for module in (opening, batch, run, inherit):
        patch.setattr(module, "abstract_run", _shapes)
    patch.setattr(hosted, "compile_hosted", _hosted)
    patch.setattr(compute, "parts", _parts)
    patch.setattr(learner, "compile_learner", _learner)


def _static(config: Any) -> Any:
    """A config without the numbers that its programs are given."""
    return replace(config, hypers=None, replay=ReplayHypers())


def _same(assembled: Assembled) -> Hashable:
    """What the programs of a run depend on; environments of one class are taken for one."""
    sources = (assembled.source, assembled.evaluation_source)
    steps = 1 if assembled.program.falling is None else assembled.config.training.steps
    return (
        _static(change(assembled.config, steps=steps, seed=0)),
        tuple(None if source is None else source.of for source in sources),
        tuple(assembled.functions.values()),
        jax.tree.structure(assembled.hypers),
        tuple(lanes.cores()),
        jax.config.jax_enable_x64,
    )


def _compiled(assembled: Assembled, abstract: RunState | None = None) -> RunPrograms:
    if isinstance(assembled.program.env, HostEnv):  # environments are a run's own; what the device does is shared below
        return _COMPILE(assembled, abstract)
    began = time.perf_counter()
    ready = kept(("run", _same(assembled)), partial(_COMPILE, assembled, abstract))
    return programs.for_members(ready, assembled)._replace(seconds=time.perf_counter() - began)


def _shapes(assembled: Assembled) -> RunState:
    return kept(("shapes", _same(assembled)), partial(_SHAPES, assembled))


def _hosted(assembled: Assembled, abstract: RunState, hypers: Any) -> hosted.Hosted:
    config = replace(assembled.config, training=replace(assembled.config.training, **HOSTS_OWN))
    key = ("hosted", _same(assembled._replace(config=config)))
    ready = kept(key, partial(_HOSTED, assembled, abstract, hypers))
    return hosted.Hosted(assembled, ready.device)


def _parts(config: Any, spec: Any, replay_capacity: int) -> LearnerParts:
    key = ("parts", _static(config), repr(spec), replay_capacity)
    return kept(key, partial(_PARTS, config, spec, replay_capacity))


def _learner(parts: LearnerParts, hypers: Any) -> LearnerPrograms:
    # With its parts, so that no others get their id.
    ready, _ = kept(("learner", id(parts)), lambda: (compile_learner(parts, hypers), parts))
    numbers = tuple(map(float, jax.tree.leaves(hypers)))
    init = kept(("init", id(parts), numbers), lambda: jax.jit(partial(compute.init, parts, hypers)))
    return ready._replace(init=init)
