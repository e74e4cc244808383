"""rejax's many agents at once, by `vmap` as its documentation does it, everything of each member its own."""

import jax
import jax.numpy as jnp

from benchmarks import protocol
from benchmarks.workers.rejax_sac import algorithm, random_rows


def variant(algo, members: int, updates: int) -> protocol.Call:
    """`updates` times draw, update, move the targets, of all members under `vmap`."""

    def start(key):
        state = algo.init_state(key)
        buffer = state.replay_buffer
        full = buffer.replace(data=random_rows(buffer.data, key), index=jnp.int32(0), full=jnp.bool_(True))
        return state.replace(replay_buffer=full)

    def update(_, state):
        rng, key = jax.random.split(state.rng)
        state = state.replace(rng=rng)
        state = algo.update(state, state.replay_buffer.sample(algo.batch_size, key))
        target = algo.maybe_update_target_params(state.critic_ts.params, state.critic_target_params, 1, 0)
        return state.replace(critic_target_params=target)

    def chunk(state):
        return jax.lax.fori_loop(0, updates, update, state)

    state = jax.jit(jax.vmap(start))(jax.random.split(jax.random.key(0), members))
    step = jax.jit(jax.vmap(chunk), donate_argnums=0)

    def run():
        nonlocal state
        state = jax.block_until_ready(step(state))

    return protocol.clocked(run, members * updates)


def main() -> None:
    """Serves a variant for each number of members asked for."""
    settings = protocol.settings()
    algo = algorithm(settings)
    counts = settings["members"]
    variants = {f"rejax vmap {count}": variant(algo, count, settings["updates_per_call"]) for count in counts}
    about = {"versions": protocol.versions("rejax", "jax"), "device": jax.local_devices()[0].device_kind}
    protocol.serve(variants, about)


if __name__ == "__main__":
    main()
