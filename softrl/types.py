"""The types that packages exchange: actions, one step of experience, environments and replay.

Axes: `M` members, `N` environments, `T` time, `B` batch, `K` critics, `O` observation, `A` action.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax

from softrl.clock import Counter

PyTree = Any


class Continuous(NamedTuple):
    """Actions that are a row of numbers, in (−1, 1)^A for agents and replay. Static.

    size: A. low, high: what −1 and 1 are to the simulator, A numbers each; None: −1 and 1 themselves.
    """

    size: int
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one action."""
        return (self.size,)

    @property
    def dtype(self) -> str:
        """Of one action."""
        return "float32"


class Discrete(NamedTuple):
    """Actions that are one of n, 0 … n − 1. Static."""

    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one action."""
        return ()

    @property
    def dtype(self) -> str:
        """Of one action."""
        return "int32"


Action = Continuous | Discrete
"""What an action can be."""


ACTOR_OBS, CRITIC_OBS = "state", "privileged_state"
"""Entries of a dictionary observation that, where both are there, go to the actor and to the critic."""


def selectors(obs: PyTree) -> dict[str, str]:
    """`actor_obs` and `critic_obs` of an observation that has an entry for each; nothing of any other."""
    both = isinstance(obs, dict) and {ACTOR_OBS, CRITIC_OBS} <= obs.keys()
    return {"actor_obs": ACTOR_OBS, "critic_obs": CRITIC_OBS} if both else {}


class Spec(NamedTuple):
    """What an agent must know of its robot. Static.

    obs: pytree of `jax.ShapeDtypeStruct`, one observation. action: what an action is.
    actor_obs, critic_obs: which entry of a dictionary observation each sees; None: the whole of it.
    """

    obs: PyTree
    action: Action
    actor_obs: str | None = None
    critic_obs: str | None = None


class EnvSpec(NamedTuple):
    """What a compiled program must know of its environments. Static.

    name: as the user wrote it, for example `brax/halfcheetah`.
    obs: pytree of `jax.ShapeDtypeStruct`, one environment's observation.
    action: what one environment's action is.
    num_envs: N.
    episode_length: L, the time limit in environment steps; a longer episode is truncated.
    own_truncation: whether environments may also truncate by a rule of their own, sooner and at any rate.
    actor_obs, critic_obs: which entry of a dictionary observation each sees; None: the whole of it.
    """

    name: str
    obs: PyTree
    action: Action
    num_envs: int
    episode_length: int
    actor_obs: str | None = None
    critic_obs: str | None = None
    own_truncation: bool = False


class Transition(NamedTuple):
    """One vector step, `[N, ...]`.

    next_obs is the true successor, also where the environment was reset afterwards. `terminated` ends with zero
    continuation value, `truncated` (a time limit) does not. `valid` is False where physics gave non-finite numbers.
    extras: what the agent's `act` said of its action (log-probabilities, say); a replay may keep it.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_obs: PyTree
    valid: jax.Array
    extras: PyTree = ()


class Window(NamedTuple):
    """The steps that a row's reward adds up, `[B, n, ...]`; step 0 is the row's own.

    obs, action: of each step. discount: γⁱ at step i of the window, 0 beyond its true length m.
    """

    obs: PyTree
    action: jax.Array
    discount: jax.Array


class Batch(NamedTuple):
    """What a replay of transitions yields, `[B, ...]`.

    reward: Σ_{i<m} γⁱ rᵢ over the window's true length m; discount: γᵐ (1 − terminated); next_obs: the observation
    m steps later; weight: 0 for rows to ignore (they may hold anything finite), 1 otherwise; index: where it came from.
    window: the steps in between, `()` where windows are of one step.
    """

    obs: PyTree
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    next_obs: PyTree
    weight: jax.Array
    index: jax.Array
    window: Window | tuple[()] = ()


class EnvState(NamedTuple):
    """N environments after a step; `obs` is what to act on next, `transition` fields describe the step just made.

    sim: what the simulator's next step reads of its state. key: of the run's environments. episode: `[N]` episodes
    begun, the address of the next reset. steps: `[N]` steps into the episode, staggered in each environment's first.
    bank: `(sim, obs)` in which the next episodes begin, where `Env.interval` is not 0.
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
    bank: PyTree = ()


class Env(NamedTuple):
    """N auto-resetting environments. `reset(key) -> EnvState`; `step(state, action[N, ...]) -> EnvState`.

    refresh: `(state) -> bank`, new first states; whoever trains asks for them every `interval` steps of the clock, the
    first included. 0: never, each step makes its own.
    """

    spec: EnvSpec
    reset: Callable[[jax.Array], EnvState]
    step: Callable[[EnvState, jax.Array], EnvState]
    refresh: Callable[[EnvState], PyTree] = lambda state: state.bank
    interval: int = 0


class Simulator(NamedTuple):
    """One environment's physics, without episodes: what an adapter must provide.

    reset: `(key, index) -> (sim, obs)`; `index` says which of the N environments this is.
    step: `(sim, action) -> (sim, obs, reward[], terminated[])`, with an action as `action` says: within its bounds. A
    time limit is not death, so none belongs in `terminated`: `episode_length` cuts episodes.
    """

    reset: Callable[[jax.Array, jax.Array], tuple[PyTree, PyTree]]
    step: Callable[[PyTree, jax.Array], tuple[PyTree, PyTree, jax.Array, jax.Array]]
    action: Action


class Network(NamedTuple):
    """`init(key) -> (params, batch_stats)`; `apply(params, batch_stats, *inputs, train) -> (output, batch_stats)`.

    `batch_stats` is `()` without batch normalisation.
    """

    init: Callable[..., tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hypers:
    """All numbers that a compiled program is given: plain ones as the user sets them, arrays inside.

    agent: the algorithm's own, among them γ. replay: how its replay samples.
    """

    agent: PyTree
    replay: PyTree


class ReplayInit(Protocol):
    """An empty replay."""

    def __call__(self) -> PyTree: ...


class ReplayAdd(Protocol):
    """Stores one vector step. `step`: how many are stored already."""

    def __call__(self, state: PyTree, step: Counter, transition: Transition) -> PyTree: ...


class ReplaySample(Protocol):
    """What one update learns from. Reads γ of `hypers.agent`, and `hypers.replay`."""

    def __call__(self, state: PyTree, step: Counter, key: jax.Array, hypers: Hypers) -> Any: ...


class ReplayFeedback(Protocol):
    """Takes the TD errors `[B]` of the rows at `index` `[B]`, a field of the batches of a replay that wants them."""

    def __call__(self, state: PyTree, index: jax.Array, td_error: jax.Array) -> PyTree: ...


class ReplaySever(Protocol):
    """Forgets the newest row's successor, where environments begin anew without an episode's end."""

    def __call__(self, state: PyTree, step: Counter) -> PyTree: ...


class Replay(NamedTuple):
    """What an agent learns from, on the device.

    horizon: vector steps stored between two calls of `learn`. least: those that must be stored before the first one.
    sever: of a replay whose rows have their successors in the next ones; where each has its own there is nothing to do.
    """

    init: ReplayInit
    add: ReplayAdd
    sample: ReplaySample
    feedback: ReplayFeedback
    horizon: int = 1
    least: int = 0
    sever: ReplaySever = lambda state, step: state
