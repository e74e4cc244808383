"""softrl's whole chunk for M members, each scheme, on an environment that costs nothing: aggregate updates.

As a sweep runs it: on a CPU `sequential` members are shared out among the cores.
"""

from functools import partial

import jax
import jax.numpy as jnp

from benchmarks import protocol
from benchmarks.workers import softrl_parts as parts
from softrl.training import lanes
from softrl.training.compilation import compiler_options
from softrl.training.members import chunk_members, init_members

UPDATES_PER_STEP = 8
CHUNK_STEPS = 32


def variant(sizes, members: int, how: str) -> protocol.Call:
    """One compiled chunk of M members under `vmap` or `sequential`."""
    program = parts.program(sizes, UPDATES_PER_STEP)
    hypers = jax.tree.map(lambda x: jnp.full(members, x), parts.hypers(sizes))

    @jax.jit
    def start(keys):
        def fill(learner, clock):
            return parts.filled(program, sizes, learner, clock)

        run = init_members(program, keys, hypers)
        learner, clock = jax.vmap(fill, in_axes=(0, None), out_axes=(0, None))(run.learner, run.clock)
        return run._replace(learner=learner, clock=clock)

    run = start(jax.vmap(jax.random.key)(jnp.arange(members)))
    lane_count = lanes.count(how, members) if jax.local_devices()[0].platform == "cpu" else 1
    step = jax.jit(partial(chunk_members, program, length=CHUNK_STEPS, how=how), donate_argnums=0)
    step = step.lower(*lanes.one_lane(lane_count, run, hypers)).compile(compiler_options=compiler_options())
    step = lanes.side_by_side(step, lane_count)

    def advance():
        nonlocal run
        run = jax.block_until_ready(step(run, hypers)[0])

    def checked():
        timed = protocol.clocked(advance, members * UPDATES_PER_STEP * CHUNK_STEPS)()
        parts.require_learning(run.learner.health)
        return timed

    return checked


def main() -> None:
    """Serves a variant for each number of members and scheme asked for."""
    settings = protocol.settings()
    sizes, platform = parts.wished(settings), jax.local_devices()[0].platform
    counts = settings["members"] or ([1, 4, 8, 16] if platform == "cpu" else [1, 8, 32, 128])
    schemes = ("sequential", "vmap") if platform == "cpu" else ("vmap",)
    variants = {f"{how} {count}": variant(sizes, count, how) for count in counts for how in schemes}
    protocol.serve(variants, {"device": jax.local_devices()[0].device_kind, "num_envs": parts.NUM_ENVS})


if __name__ == "__main__":
    main()
