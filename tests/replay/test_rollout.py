"""A rollout is what was just done, in order, with every step's true successor."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl.clock import Counter
from softrl.replay import rollout
from softrl.types import Continuous, Discrete, EnvSpec, Transition

SPEC = EnvSpec("rows", {"a": jax.ShapeDtypeStruct((2,), jnp.float32)}, Discrete(3), 4, 100)


def row(step: int) -> Transition:
    """A vector step whose every number says when it was made."""
    obs = lambda at: {"a": jnp.full((4, 2), float(at))}
    flag = lambda every: jnp.full(4, step % every == 0)
    action = jnp.full(4, step % 3, jnp.int32)
    return Transition(obs(step), action, jnp.full(4, 1.0 * step), flag(2), flag(3), obs(step + 0.5), flag(5), "told")


def test_the_newest_steps_come_back_in_order_with_their_own_successors():
    replay = rollout(SPEC, horizon=5)
    state, steps = replay.init(), range(10)
    add = jax.jit(lambda state, step, t: replay.add(state, step, t._replace(extras=())))
    for step in steps:
        state = add(state, Counter.of(step), row(step)._replace(extras=()))
    found = replay.sample(state, Counter.of(10), jax.random.key(0), None)
    newest = jax.tree.map(lambda *x: np.stack(x), *(row(step)._replace(extras=()) for step in steps[5:]))
    jax.tree.map(np.testing.assert_array_equal, found, newest)
    assert replay.horizon == 5 and replay.least == 0


def test_it_keeps_the_environments_types_and_what_an_agent_said_of_its_actions_not():
    state = rollout(SPEC._replace(action=Continuous(2)), horizon=3).init()
    assert state.action.shape == (3, 4, 2) and state.action.dtype == jnp.float32
    state = rollout(SPEC, horizon=3).add(rollout(SPEC, horizon=3).init(), Counter.of(0), row(1))
    assert state.action.dtype == jnp.int32 and state.valid.dtype == bool and state.extras == ()
