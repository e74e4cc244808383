"""What an algorithm is: an `Agent`, seven pure functions for one robot, and all that the rest of softrl knows of it.

Axes: `N` environments, `T` time, `B` batch, `A` action.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from softrl.clock import Clock
from softrl.types import Continuous, Discrete, EnvSpec, PyTree, Replay, Spec, Transition


class Feedback(NamedTuple):
    """What training must know of an update, apart from what may be thrown away.

    finite: `[]`, whether every loss and gradient was a number. td_error: `[B]`, ≥ 0, what priorities follow; `()` where
    nothing follows it.
    """

    finite: jax.Array
    td_error: jax.Array | tuple[()]


class Init(Protocol):
    """The first state of all that learns."""

    def __call__(self, key: jax.Array, hypers: PyTree) -> PyTree: ...


class Carry(Protocol):
    """What N environments carry from step to step for the agent (noise, memory), at their first step."""

    def __call__(self, num_envs: int, key: jax.Array) -> PyTree: ...


class Act(Protocol):
    """`(actions [N, ...], carry, extras)` for observations `[N, ...]`. `key` None asks for the mode."""

    def __call__(
        self, policy: PyTree, carry: PyTree, obs: PyTree, key: jax.Array | None
    ) -> tuple[jax.Array, PyTree, PyTree]: ...


class Explore(Protocol):
    """Actions before anything was learned, one for each environment of the carry."""

    def __call__(self, carry: PyTree, key: jax.Array) -> tuple[jax.Array, PyTree]: ...


class Observe(Protocol):
    """The only place where running statistics change; carries of rows whose episode ended start afresh."""

    def __call__(
        self, state: PyTree, carry: PyTree, transition: Transition, hypers: PyTree
    ) -> tuple[PyTree, PyTree]: ...


class Update(Protocol):
    """One update from what the replay yields; a network whose gradient is not finite stays as it was.

    Returns: the state, `Feedback`, and a NamedTuple of scalars `[]` that may be thrown away.
    """

    def __call__(
        self, state: PyTree, batch: Any, hypers: PyTree, key: jax.Array, clock: Clock
    ) -> tuple[PyTree, Feedback, Any]: ...


class Publish(Protocol):
    """The small pytree that one publishes of a state: enough to act."""

    def __call__(self, state: PyTree) -> PyTree: ...


class Agent(NamedTuple):
    """An algorithm for one robot, as pure functions; `hypers` are its own (`Hypers.agent`), as `[]` arrays."""

    init: Init
    carry: Carry
    act: Act
    explore: Explore
    observe: Observe
    update: Update
    policy: Publish


class Metric(NamedTuple):
    """A number that training records. meaning: its equation in words. unit: for example nats. brief: sweeps keep it."""

    meaning: str
    unit: str
    brief: bool = False


class Algorithm(NamedTuple):
    """All that the rest of softrl knows of an algorithm: one entry of the registry `softrl.agents`.

    config: dataclass of static fields. hypers: dataclass of traced numbers, `gamma` among them.
    validate: `(config, hypers)` raises ConfigError where fields contradict one another.
    resolve: `(hypers, spec) -> hypers` with every number known for this robot.
    over: `(hypers, updates) -> hypers` of a run of so many updates, inf where nobody knows.
    build: `(config, spec, log_prior=None) -> Agent`.
    replay: `(config, spec, capacity=, batch_size=, n_step=, shards=) -> Replay` for environments that step together.
    actor: `(config, spec, policy) -> NumpyPolicy`, the policy without JAX: for files, servers and hosts' loops.
    metrics: of its updates, in order. summary: `(config, hypers, spec)` in a few words, hypers resolved.
    presets: name -> `(env, device) -> flat settings`, device `cpu`, `accelerator` or `host`.
    actions: the kinds of actions that it learns. off_policy: whether it learns from what others did, too.
    needs: `(config) ->` what it needs that a learner whom others feed cannot give it, in words; empty for nothing.
    ignores: settings of training and replay that it does not read.
    keeps: which policy a run keeps, the `best` by the environment's return, or, where that is not what it learns, the
    `newest`.
    networks: what else a published policy holds that can leave as a file, by name: `(config, spec, policy) -> (the
    network in NumPy, the same in JAX)`, both from observations `[B, ...]`, nested as its inputs say, to `[B]`.
    old_fields: `(config) -> {field: what it then did}` of settings, static or traced, that an older config, as JSON has
    it, lacks.
    noise: `(config) ->` the `softrl.agents.noise.Noise` by which it explores and which remembers its environment, in
    the agent's `carry.noise`; None: every draw is independent.
    """

    name: str
    config: type
    hypers: type
    validate: Callable[[Any, Any], None]
    resolve: Callable[[Any, Spec | EnvSpec], Any]
    build: Callable[..., Agent]
    replay: Callable[..., Replay]
    actor: Callable[[Any, Spec | EnvSpec, PyTree], Any]
    metrics: Mapping[str, Metric]
    summary: Callable[[Any, Any, Spec | EnvSpec], str]
    presets: Mapping[str, Callable[[str, str], Mapping[str, Any]]]
    over: Callable[[Any, float], Any] = lambda hypers, updates: hypers
    actions: tuple[type, ...] = (Continuous, Discrete)
    off_policy: bool = True
    needs: Callable[[Any], str] = lambda config: ""
    keeps: str = "best"
    ignores: tuple[str, ...] = ()
    networks: Mapping[str, Callable[[Any, Spec | EnvSpec, PyTree], tuple[Any, Callable[[PyTree], jax.Array]]]] = {}
    old_fields: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda config: {}
    noise: Callable[[Any], Any] = lambda config: None
