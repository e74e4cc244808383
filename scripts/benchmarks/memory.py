"""`scripts/bench memory`: bytes a stored transition, against Brax's layout; nothing is allocated."""

import argparse

from benchmarks import report
from benchmarks.report import Bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("env", nargs="?", default="brax/humanoid", help="a robot of Brax, as listed by `softrl envs`")
    parser.add_argument("--backend", default="spring", help="Brax physics")
    parser.add_argument("--replay-size", type=int, default=1_048_576, help="transitions in replay")
    parser.add_argument("--num-envs", type=int, default=64, help="environments")


def run(options: argparse.Namespace) -> dict:
    """Counts, prints and returns the result."""
    result = report.header("memory", vars(options).copy())
    import jax

    import softrl
    from softrl.training.memory import nbytes

    config = softrl.EnvConfig(env=options.env, backend=options.backend, num_envs=options.num_envs)
    spec = softrl.make_env(config).spec
    softrl_state = jax.eval_shape(softrl.time_major(spec, capacity=options.replay_size, batch_size=256).init)
    softrl_bytes = nbytes(softrl_state) / options.replay_size
    brax_bytes = nbytes(jax.eval_shape(_brax_replay(spec, options.replay_size))) / options.replay_size
    ratio = softrl_bytes / brax_bytes
    rows = [["softrl", softrl_bytes], ["Brax", brax_bytes], ["ratio", ratio]]
    report.table(f"{options.env}: bytes a stored transition", ["", ""], rows)
    result |= {"softrl": softrl_bytes, "brax": brax_bytes, "ratio": ratio}
    result["obs_size"], result["action_size"] = spec.obs.shape[0], spec.action.size
    result["bars"] = report.bars([Bar("bytes, softrl to Brax", ratio, 0.55, at_least=False)])
    return result


def _brax_replay(spec, capacity: int):
    """The replay that Brax's SAC makes: every transition flat, with both of its observations."""
    import jax
    import jax.numpy as jnp
    from brax.training import replay_buffers
    from brax.training.types import Transition

    obs = jnp.zeros(spec.obs.shape)
    extras = {"state_extras": {"truncation": 0.0}, "policy_extras": {}}
    one = Transition(obs, jnp.zeros(spec.action.size), 0.0, 0.0, obs, extras)
    queue = replay_buffers.UniformSamplingQueue(capacity, one, sample_batch_size=256)
    return lambda: queue.init(jax.random.PRNGKey(0))
