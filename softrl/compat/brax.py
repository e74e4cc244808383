"""`train` in the manner of Brax's soft actor-critic, with the same returns.

    from softrl.compat import brax as sac      # was: from brax.training.agents.sac import train as sac
    make_policy, params, metrics = sac.train(environment, num_timesteps=1_000_000, progress_fn=print)
    action, _ = make_policy(params, deterministic=True)(obs, key)

What is better than there: time limits bootstrap from the true last observation, every episode begins anew, dictionary
observations are read (`state` by the actor, `privileged_state` by the critic), and `run_directory` resumes to the bit.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from softrl.agents.carry import afresh
from softrl.algorithm import Agent
from softrl.config import change
from softrl.envs import EnvConfig, Source, found, found_by, make_env
from softrl.envs.domain_randomization import OfMany
from softrl.errors import ConfigError
from softrl.training import signals
from softrl.training.assemble import Assembled, assemble
from softrl.training.config import Config
from softrl.training.opening import opened
from softrl.training.session import advance
from softrl.types import PyTree

INSTEAD = {
    "network_factory": "say width= and depth=, the same for every network",
    "checkpoint_logdir": "say run_directory=, which also resumes",
    "restore_checkpoint_path": "give the same run_directory= again, and it resumes",
    "max_devices_per_host": "say data_shards=, over how many devices one run is spread",
    "wrap_env": "softrl puts its own episodes around a bare environment: leave it out",
    "wrap_env_fn": "softrl puts its own episodes around a bare environment: leave it out",
}
"""What to say in place of what only Brax's trainer takes."""

Params = PyTree
"""What `make_policy` takes: a `Policy`, normaliser and network."""


def train(
    environment: Any,
    num_timesteps: int,
    episode_length: int,
    action_repeat: int = 1,
    num_envs: int = 1,
    num_eval_envs: int = 128,
    learning_rate: float = 1e-4,
    discounting: float = 0.9,
    seed: int = 0,
    batch_size: int = 256,
    num_evals: int = 1,
    normalize_observations: bool = False,
    reward_scaling: float = 1.0,
    tau: float = 0.005,
    min_replay_size: int = 0,
    max_replay_size: int | None = None,
    grad_updates_per_step: int = 1,
    deterministic_eval: bool = False,
    progress_fn: Callable[[int, dict[str, float]], None] = lambda *args: None,
    eval_env: Any = None,
    policy_params_fn: Callable[..., None] = lambda *args: None,
    randomization_fn: Callable | None = None,
    *,
    run_directory: str | Path | None = None,
    **settings: Any,
) -> tuple[Callable, Params, dict[str, float]]:
    """Trains on a Brax (or MuJoCo Playground) environment without wrappers.

    Args: as Brax's; without a default there, none here. environment, eval_env: also by name, `playground/WalkerRun`.
      max_replay_size: 1,000,000 where it is not given (Brax: `num_timesteps`, without a limit). policy_params_fn:
      `(step, make_policy, params)` after each evaluation. randomization_fn: `(model, keys [N]) -> (models, in_axes)`,
      as Brax's and Playground's are; for each episode of training softrl draws anew. Timesteps and episode lengths
      count physics steps (Playground's control steps): an action is `action_repeat` of them.
      run_directory: where the run lives; the same call again resumes it. settings: any flat name of
      `softrl.Config`, for example `width=512, n_step=3, norm="rms"`.
    Returns:
      `make_policy(params, deterministic=False)(obs, key) -> (action, extras)`, the newest parameters, and the last
      metrics: `eval/episode_reward`, `training/sps`, …, as `progress_fn(steps, metrics)` got them.
    Raises: ConfigError: a setting that cannot be. KeyboardInterrupt: on Ctrl-C, once all is saved.
    """
    for name in settings.keys() & INSTEAD.keys():
        raise ConfigError(f"{name} is Brax's own; {INSTEAD[name]}")
    source = _source(environment, EnvConfig(env_kwargs=settings.get("env_kwargs", "{}")).kwargs)
    config = change(
        Config(),
        **{**source.prefers, **found_by(source), "action_repeat": action_repeat},
        num_envs=num_envs,
        **_in_actions(num_timesteps, episode_length, num_evals, num_envs, action_repeat),
        seed=seed,
        eval_episodes=num_eval_envs,
        policy_lr=learning_rate,
        critic_lr=learning_rate,
        temperature_lr=3e-4,  # as Brax has it
        target_entropy=None if settings.get("target_sigma") else -0.5 * _action_size(environment, source),
        gamma=discounting,
        batch_size=batch_size,
        normalize_obs=normalize_observations,
        reward_scale=reward_scaling,
        tau=tau,
        learning_starts=min_replay_size,
        replay_size=max(1_000_000 if max_replay_size is None else max_replay_size, batch_size, 2 * num_envs),
        updates_per_step=grad_updates_per_step,
        norm="none",
    )
    config = change(config, **settings)
    other = None if eval_env is None else _source(eval_env)
    if other is not None and other.kwargs is not None and found_by(other) == found_by(source):
        other = None  # two objects of Playground's that are the same
    randomize = None if randomization_fn is None else OfMany(randomization_fn)
    assembled = assemble(config, env=source, evaluation_env=other, randomize=randomize)
    metrics_of = partial(_metrics, action_repeat=action_repeat, deterministic=deterministic_eval)
    out = None if run_directory is None else Path(run_directory)
    return _run(assembled, out, metrics_of, progress_fn, policy_params_fn)


def _in_actions(
    num_timesteps: int, episode_length: int, num_evals: int, num_envs: int, action_repeat: int
) -> dict[str, int]:
    """Brax's lengths, which count physics steps, as softrl's, which count actions."""
    steps = math.ceil(num_timesteps / action_repeat)
    every = math.ceil(steps / max(num_evals - 1, 1))
    lengths = {"steps": steps, "episode_length": math.ceil(episode_length / action_repeat), "eval_every": every}
    return lengths | {"chunk_steps": max(1, min(128, every // num_envs))}


def _run(
    assembled: Assembled,
    out: Path | None,
    metrics_of: Callable[[dict[str, Any]], dict[str, float]],
    progress_fn: Callable[..., None],
    policy_params_fn: Callable[..., None],
) -> tuple[Callable, Params, dict[str, float]]:
    """Trains, and tells the caller's functions of every evaluation. Returns: as `train`."""
    make_policy = partial(_make_policy, assembled.program.agent)

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "evaluation":
            steps = event["record"]["env_steps"] * assembled.config.env.action_repeat
            progress_fn(steps, metrics_of(event["record"]))
            policy_params_fn(steps, make_policy, _params(assembled, session.run))

    with opened(assembled, out, listen) as session, signals.graceful() as request:
        advance(session, request, listen)
        result = make_policy, _params(assembled, session.run), metrics_of(session.records[-1])
    kept = "this exception's `result` is what there is" if out is None else "all is saved, the same call goes on"
    return signals.returned(result, request.requested, f"stopped; {kept}")


def _source(environment: Any, kwargs: dict[str, Any] | None = None) -> Source:
    named = isinstance(environment, str) and environment.startswith(("brax/", "playground/"))
    if not named and not all(hasattr(environment, name) for name in ("reset", "step", "action_size")):
        given = repr(environment) if isinstance(environment, str) else type(environment).__name__
        raise ConfigError(
            "environment must be one of Brax's or MuJoCo Playground's, or the name of one as playground/WalkerRun, got "
            f"{given}"
        )
    return found(environment, kwargs)


def _action_size(environment: Any, source: Source) -> int:
    if not isinstance(environment, str):
        return environment.action_size
    return make_env(change(EnvConfig(), **{**source.prefers, **found_by(source)}), source, num_envs=1).spec.action.size


def _params(assembled: Assembled, run: Any) -> Params:
    return jax.device_get(jax.tree.map(lambda x: x[0], assembled.program.agent.policy(run.learner.agent)))


def _make_policy(agent: Agent, params: Params, deterministic: bool = False) -> Callable:
    def policy(obs: PyTree, key: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        single = jax.tree.leaves(obs)[0].ndim == jax.tree.leaves(params.statistics.mean)[0].ndim
        batch = jax.tree.map(lambda x: x[None], obs) if single else obs
        if not deterministic and not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        action = afresh(agent, params, batch, None if deterministic else key)
        return (action[0] if single else action), {}

    return policy


def _metrics(record: dict[str, Any], action_repeat: int, deterministic: bool) -> dict[str, float]:
    """A line of metrics under Brax's names."""
    evaluation, timing, kind = record["eval"], record["timing"], "" if deterministic else "stochastic_"
    metrics = {
        "eval/episode_reward": float(np.mean(evaluation[f"{kind}return_mean"])),
        "eval/episode_reward_std": float(np.mean(evaluation[f"{kind}return_std"])),
        "eval/avg_episode_length": float(np.mean(evaluation[f"{kind}length_mean"])) * action_repeat,
        "training/sps": timing["env_steps_per_s"] * action_repeat,
        "training/walltime": timing["wall_s"],
    }
    return metrics | {f"training/{name}": float(np.mean(value)) for name, value in record["train"].items()}
