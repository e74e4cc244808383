"""rejax's SAC update, in a jitted loop over its own replay, with its target update after each.

Its replay draws without replacement by sorting random numbers for every row it holds, at every update. The variant
`rejax, cheap draws` gives it uniform indices instead, which is faster than anything it ships.
"""

import jax
import jax.numpy as jnp
from gymnax.environments.spaces import Box
from rejax import get_algo

from benchmarks import protocol


class Idle:
    """The part of a gymnax environment that rejax reads; never stepped."""

    default_params = None

    def __init__(self, obs_size: int, action_size: int):
        self.sizes = obs_size, action_size

    def observation_space(self, params):
        """ℝ^O."""
        return Box(-jnp.inf, jnp.inf, (self.sizes[0],))

    def action_space(self, params):
        """[−1, 1]^A."""
        return Box(-1.0, 1.0, (self.sizes[1],))

    def reset(self, key, params):
        """The zero observation and an empty state."""
        return jnp.zeros(self.sizes[0]), ()

    def step(self, key, state, action, params):
        """Nothing happens."""
        return jnp.zeros(self.sizes[0]), state, jnp.float32(0.0), jnp.bool_(False), {}


def algorithm(settings: dict):
    """rejax's SAC at the benchmark's sizes."""
    return get_algo("sac").create(
        env=Idle(settings["obs_size"], settings["action_size"]),
        env_params=None,
        hidden_layer_sizes=[settings["width"]] * settings["depth"],
        batch_size=settings["batch_size"],
        buffer_size=settings["replay_size"],
        polyak=0.995,
    )


def random_rows(data, key: jax.Array):
    """A replay's arrays full of random transitions, none of them last."""
    keys = jax.random.split(key, 4)
    return data._replace(
        obs=jax.random.normal(keys[0], data.obs.shape),
        action=jax.random.uniform(keys[1], data.action.shape, minval=-1.0, maxval=1.0),
        reward=jax.random.normal(keys[2], data.reward.shape),
        done=jnp.zeros_like(data.done),
        next_obs=jax.random.normal(keys[3], data.next_obs.shape),
    )


def variant(algo, draw, state, updates: int) -> protocol.Call:
    """`updates` times what `train_iteration` does after collecting: draw, update, move the targets."""

    def update(_, state):
        rng, key = jax.random.split(state.rng)
        state = state.replace(rng=rng)
        state = algo.update(state, draw(state.replay_buffer, algo.batch_size, key))
        target = algo.maybe_update_target_params(state.critic_ts.params, state.critic_target_params, 1, 0)
        return state.replace(critic_target_params=target)

    step = jax.jit(lambda state: jax.lax.fori_loop(0, updates, update, state), donate_argnums=0)
    state = jax.tree.map(jnp.copy, state)

    def run():
        nonlocal state
        state = jax.block_until_ready(step(state))

    return protocol.clocked(run, updates)


def main() -> None:
    """Serves."""
    settings = protocol.settings()
    algo = algorithm(settings)
    state = algo.init_state(jax.random.key(0))
    buffer = state.replay_buffer
    buffer = buffer.replace(data=random_rows(buffer.data, jax.random.key(1)), index=jnp.int32(0), full=jnp.bool_(True))
    state = state.replace(replay_buffer=buffer)

    def cheaply(buffer, num: int, key: jax.Array):
        index = jax.random.randint(key, (num,), 0, buffer.size)
        return jax.tree.map(lambda array: array[index], buffer.data)

    variants = {
        "rejax": variant(algo, lambda buffer, num, key: buffer.sample(num, key), state, settings["updates_per_call"]),
        "rejax, cheap draws": variant(algo, cheaply, state, settings["updates_per_call"]),
    }
    about = {
        "versions": protocol.versions("rejax", "gymnax", "distrax", "jax", "jaxlib", "flax", "optax"),
        "device": jax.local_devices()[0].device_kind,
    }
    protocol.serve(variants, about)


if __name__ == "__main__":
    main()
