"""An algorithm that softrl does not know, as its author would write it: on-policy, discrete, with a carry and extras.

REINFORCE with one table of logits that all states share; the carry counts the steps of every environment's episode, and
the extras say by which probability each action was drawn, so that the update can check what it was given.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from softrl.algorithm import Agent, Algorithm, Feedback, Metric
from softrl.config import Within
from softrl.types import Discrete, Replay, Transition


@dataclass(frozen=True)
class ToyConfig:
    """Static."""

    horizon: Annotated[int, Within(1)] = 4
    """Vector steps between two updates."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ToyHypers:
    """Traced."""

    gamma: Annotated[float, Within(0.0, 1.0)] = 0.9
    """Discount."""
    rate: Annotated[float, Within(0.0)] = 0.5
    """Step of the logits."""


class ToyState(NamedTuple):
    logits: jax.Array
    seen: jax.Array


class ToyInfo(NamedTuple):
    loss: jax.Array
    longest: jax.Array


def build(config, spec, *, log_prior=None) -> Agent:
    size = spec.action.n

    def act(policy, carry, obs, key):
        log_probs = jnp.broadcast_to(jax.nn.log_softmax(policy), (carry.shape[0], size))
        action = jnp.argmax(log_probs, -1) if key is None else jax.random.categorical(key, log_probs)
        taken = jnp.take_along_axis(log_probs, action[:, None], -1)[:, 0]
        return action.astype(jnp.int32), carry + 1, {"log_prob": taken}

    def observe(state, carry, transition: Transition, hypers):
        over = transition.terminated | transition.truncated
        return state._replace(seen=state.seen + jnp.sum(transition.valid)), jnp.where(over, 0, carry)

    def update(state, rows: Transition, hypers, key, clock):
        weight = rows.reward - jnp.mean(rows.reward)

        def loss(logits):
            log_probs = jax.nn.log_softmax(logits)
            return -jnp.mean(log_probs[rows.action] * weight)

        value, grad = jax.value_and_grad(loss)(state.logits)
        drawn = jax.nn.log_softmax(state.logits)[rows.action]
        finite = jnp.isfinite(value) & jnp.all(jnp.abs(drawn - rows.extras["log_prob"]) < 1e-5)
        new = state._replace(logits=state.logits - hypers.rate * grad)
        return new, Feedback(finite, ()), ToyInfo(value, jnp.float32(rows.reward.shape[0]))

    return Agent(
        init=lambda key, hypers: ToyState(jnp.zeros(size), jnp.int32(0)),
        carry=lambda num_envs, key: jnp.zeros(num_envs, jnp.int32),
        act=act,
        explore=lambda carry, key: (jax.random.randint(key, carry.shape, 0, size), carry + 1),
        observe=observe,
        update=update,
        policy=lambda state: state.logits,
    )


def rollout(config, spec, *, capacity, batch_size, n_step, shards) -> Replay:
    """The newest `horizon` vector steps, whole: `[T, N, ...]`."""

    horizon = config.horizon

    def table(shape, dtype="float32"):
        return jnp.zeros((horizon, spec.num_envs, *shape), dtype)

    def init():
        obs = jax.tree.map(lambda s: table(s.shape, s.dtype), spec.obs)
        flags = [table((), bool) for _ in range(3)]
        action = table(spec.action.shape, spec.action.dtype)
        return Transition(obs, action, table(()), *flags[:2], obs, flags[2], {"log_prob": table(())})

    def add(state, step, transition):
        return jax.tree.map(lambda rows, new: rows.at[step.mod(horizon)].set(new), state, transition)

    return Replay(init, add, lambda state, step, key, hypers: state, lambda *_: None, horizon=horizon)


def no_actor(config, spec, policy):
    raise NotImplementedError


ALGORITHM = Algorithm(
    name="toy",
    config=ToyConfig,
    hypers=ToyHypers,
    validate=lambda config, hypers: None,
    resolve=lambda hypers, spec: hypers,
    build=build,
    replay=rollout,
    actor=no_actor,
    metrics={"loss": Metric("E[−log π r]", "nats reward", brief=True), "longest": Metric("rows of an update", "")},
    summary=lambda config, hypers, spec: f"{spec.action.n} arms",
    presets={"tuned": lambda env, device: {}, "classic": lambda env, device: {}},
    actions=(Discrete,),
    off_policy=False,
)
