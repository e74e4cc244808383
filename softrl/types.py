"""The types that rooms of the house exchange: one step of experience, a batch, and the bundles of pure functions.

Axes: `M` members, `N` environments, `T` time, `B` batch, `K` critics, `O` observation, `A` action.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

PyTree = Any


class Spec(NamedTuple):
    """What an agent must know of its robot. Static.

    obs: pytree of `jax.ShapeDtypeStruct`, one observation. action_size: A; actions are in (−1, 1)^A.
    actor_obs, critic_obs: which entry of a dictionary observation each sees; None: the whole of it.
    """

    obs: PyTree
    action_size: int
    actor_obs: str | None = None
    critic_obs: str | None = None


class EnvSpec(NamedTuple):
    """What a compiled program must know of its environments. Static.

    name: as the user wrote it, for example `brax/halfcheetah`.
    obs: pytree of `jax.ShapeDtypeStruct`, one environment's observation.
    action_size: A; actions are in (−1, 1)^A.
    num_envs: N.
    episode_length: L, the time limit in environment steps; a longer episode is truncated.
    actor_obs, critic_obs: which entry of a dictionary observation each sees; None: the whole of it.
    action_low, action_high: what −1 and 1 are to the simulator, A numbers each; None: −1 and 1 themselves.
    """

    name: str
    obs: PyTree
    action_size: int
    num_envs: int
    episode_length: int
    actor_obs: str | None = None
    critic_obs: str | None = None
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None

    @property
    def action(self) -> jax.ShapeDtypeStruct:
        """One environment's action."""
        return jax.ShapeDtypeStruct((self.action_size,), "float32")


class Transition(NamedTuple):
    """One vector step, `[N, ...]`.

    next_obs is the true successor, also where the environment was reset afterwards. `terminated` ends with zero
    continuation value, `truncated` (a time limit) does not. `valid` is False where physics gave non-finite numbers.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_obs: PyTree
    valid: jax.Array


class Batch(NamedTuple):
    """What a learner sees, `[B, ...]`.

    reward: Σ_{i<m} γⁱ rᵢ over the window's true length m; discount: γᵐ (1 − terminated); next_obs: the observation
    m steps later; weight: 0 for rows to ignore (they may hold anything finite), 1 otherwise; index: where it came from.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_obs: PyTree
    weight: jax.Array
    index: jax.Array


class EnvState(NamedTuple):
    """N environments after a step; `obs` is what to act on next, `transition` fields describe the step just made.

    sim: the simulator's own state. key: of the run's environments. episode: `[N]` episodes begun, the address of the
    next reset. steps: `[N]` steps into the episode, staggered in each environment's first.
    """

    obs: PyTree
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    final_obs: PyTree
    valid: jax.Array
    sim: PyTree
    key: jax.Array
    episode: jax.Array
    steps: jax.Array


class Env(NamedTuple):
    """N auto-resetting environments. `reset(key) -> EnvState`; `step(state, action[N, A]) -> EnvState`."""

    spec: EnvSpec
    reset: Callable[[jax.Array], EnvState]
    step: Callable[[EnvState, jax.Array], EnvState]


class Simulator(NamedTuple):
    """One environment's physics, without episodes: what an adapter must provide.

    reset: `(key, index) -> (sim, obs)`; `index` says which of the N environments this is.
    step: `(sim, action[A]) -> (sim, obs, reward[], terminated[])`.
    """

    reset: Callable[[jax.Array, jax.Array], tuple[PyTree, PyTree]]
    step: Callable[[PyTree, jax.Array], tuple[PyTree, PyTree, jax.Array, jax.Array]]
    action_size: int


class Network(NamedTuple):
    """`init(key) -> (params, stats)`; `apply(params, stats, *inputs, train) -> (output, stats)`.

    `stats` is `()` without batch statistics.
    """

    init: Callable[..., tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]


class Replay(NamedTuple):
    """A ring buffer on the device.

    init: `() -> state`. add: `(state, step, transition) -> state`. sample: `(state, step, key, hypers) -> Batch`.
    feedback: `(state, index, td_error) -> state`. `step` is the clock's counter of vector steps already added.
    """

    init: Callable[..., PyTree]
    add: Callable[..., PyTree]
    sample: Callable[..., Batch]
    feedback: Callable[..., PyTree]


class Agent(NamedTuple):
    """An algorithm as pure functions.

    init: `(key, hypers) -> state`.
    act: `(policy, carry, obs, key or None) -> (action, carry, extras)`; None asks for the mode.
    observe: `(state, transition) -> state`; the only place where running statistics change.
    update: `(state, batch, hypers, key, clock) -> (state, info)`; `info` is a NamedTuple of scalars `[]`, among them
        `finite`, and `td_error[B]`. A network whose gradient is not finite stays as it was.
    policy: `(state) -> policy`, the small pytree that one publishes.
    """

    init: Callable[..., PyTree]
    act: Callable[..., tuple[jax.Array, PyTree, PyTree]]
    observe: Callable[..., PyTree]
    update: Callable[..., tuple[PyTree, Any]]
    policy: Callable[..., PyTree]
