"""`softrl.train(config) -> Run`, `softrl.load(directory) -> Run`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents.carry import afresh
from softrl.config import change
from softrl.envs import Source, found
from softrl.errors import CheckpointError, ConfigError
from softrl.export import Exported, export
from softrl.storage import checkpoint, metrics
from softrl.training import identity, signals, specs
from softrl.training.assemble import Assembled, assemble
from softrl.training.compilation import use_compilation_cache
from softrl.training.config import Config, read
from softrl.training.opening import Past, abstract_policy, opened
from softrl.training.programs import abstract_run
from softrl.training.session import Listener, advance
from softrl.training.state import RunState
from softrl.types import PyTree

ProgressFn = Callable[[int, dict[str, Any]], None]
"""`progress_fn(env_steps, record)`, called after every evaluation with the line that went to metrics.jsonl."""


@dataclass(frozen=True)
class Run:
    """A run, finished or not.

    config: as it was run. directory: None where it was kept in memory. metrics: one record an evaluation. state: the
    whole `RunState`, None where it was loaded and not asked for. best_policy: of the best evaluation. stopped_by: the
    signal that ended training early, or None.
    """

    config: Config
    directory: Path | None
    metrics: list[dict[str, Any]]
    assembled: Assembled
    best_policy: PyTree
    state: RunState | None = None
    stopped_by: int | None = None

    def policy(self, obs: Any, key: jax.Array | None = None) -> jax.Array:
        """The best-evaluated policy's actions for observations.

        Args: `obs`: one observation or a batch `[B, ...]`; `key`: to sample; without it the mode.
        Returns: `[A]` or `[B, A]` in (−1, 1).
        """
        expected = jax.tree.leaves(self.assembled.program.env.spec.obs)[0]
        single = np.ndim(jax.tree.leaves(obs)[0]) == len(expected.shape)
        batch = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), obs)
        batch = jax.tree.map(lambda x: x[None], batch) if single else batch
        got = jax.tree.leaves(batch)[0].shape[1:]
        if got != expected.shape:
            raise ConfigError(
                f"obs must be [{', '.join(map(str, expected.shape))}] or a batch of it, got {np.shape(obs)}"
            )
        action = self._act(self.best_policy, batch, key)
        return action[0] if single else action

    @functools.cached_property
    def _act(self):
        return jax.jit(lambda policy, obs, key: afresh(self.assembled.program.agent, policy, obs, key))

    @property
    def version(self) -> int:
        """Gradient updates behind the best policy."""
        return max(self.metrics, key=_best_return)["updates"]

    def export(self, path: str | Path | None = None, format: str = "onnx") -> Exported:
        """Writes the best policy's mode as a file: onnx, stablehlo or safetensors, in the robot's own bounds.

        Args: `path`: by default policy.<format> in the run's directory, or here where it has none.
        Returns: the file, its size, and how far its actions are from this run's. Raises: as `softrl.export.write`.
        """
        path = self._place(path, f"policy.{format}")
        return export(self.assembled, self.best_policy, path, format=format, version=self.version)

    def _place(self, path: str | Path | None, name: str) -> Path:
        return (self.directory or Path()) / name if path is None else Path(path)

    def resume(self, *, steps: int | None = None, **options: Any) -> "Run":
        """Goes on to `steps` environment steps (by default the config's), as `train` would in the same directory."""
        config = self.config if steps is None else change(self.config, steps=steps)
        if self.directory is None:
            return _resume_in_memory(self, config, **options)
        here = {"env": self.assembled.source, "evaluation_env": self.assembled.evaluation_source}
        return train(config, out=self.directory, members=self.assembled.members, **{**here, **options})


def train(
    config: Config,
    *,
    env: Any = None,
    evaluation_env: Any = None,
    out: str | Path | None = None,
    progress_fn: ProgressFn | None = None,
    from_run: str | Path | None = None,
    randomize: Callable | None = None,
    log_prior: Callable | None = None,
    members: Sequence[Mapping[str, Any]] | None = None,
    listener: Listener | None = None,
) -> Run:
    """Trains, or resumes, a run.

    Args:
      config: `softrl.preset(env, ...)`.
      env: an environment of your own, in place of the one that the config names: a `softrl.Simulator`, an environment
        of Brax's or MuJoCo Playground's kind, one in gymnax's manner, a Gymnasium id, or a function that makes one of
        these or a Gymnasium environment.
      evaluation_env: another one, as `env`, to evaluate in.
      out: directory of the run; the same config in the same directory resumes it, bit for bit. None keeps it in memory.
      progress_fn: called after every evaluation.
      from_run: start from this finished run's learner: parameters, optimisers, temperature and statistics.
      randomize: `(key, System) -> System`, domain randomisation of Brax's model.
      log_prior: `(obs, action) -> log density`, an action prior of your own, for `obs` as the environment gives them.
      members: what each of the `seeds` members has of its own, in place of seeds that follow one another:
        `[{"seed": 3, "critic_lr": 1e-3}, ...]`.
      listener: called at every chunk, evaluation and checkpoint (see `softrl.training.session`).
    Returns: `Run`. On SIGTERM or SIGINT the chunk is finished, everything saved, and `stopped_by` set.
    Raises:
      ConfigError: a setting that cannot be, or one that differs from the run in `out`; nothing is changed.
      CheckpointError: the disk is full, read-only or damaged. DivergedError: every member froze.
    """
    use_compilation_cache()
    if env is not None:
        source = found(env, config.env.kwargs)
        own = {} if source.backend is None else {"backend": source.backend}
        env, config = source, change(config, env=source.name, **own)
    pieces = {"env": env, "evaluation_env": evaluation_env, "randomize": randomize, "log_prior": log_prior}
    assembled = assemble(config, **pieces, members=members)
    tell = _tellers(progress_fn, listener)
    start = None if from_run is None else functools.partial(_inherit, from_run=from_run, env=assembled.source)
    return _trained(assembled, None if out is None else Path(out), tell, start=start)


def _trained(assembled: Assembled, out: Path | None, tell: Listener, **how: Any) -> Run:
    """The run as far as its config or a signal lets it go. Args: `how`: of `opened`."""
    with opened(assembled, out, tell, **how) as session, signals.graceful() as request:
        advance(session, request, tell)
        stopped = None if request.requested is None else int(request.requested)
    return Run(assembled.config, out, session.records, assembled, session.best_policy, session.run, stopped)


def _resume_in_memory(
    run: Run, config: Config, *, progress_fn: ProgressFn | None = None, listener: Listener | None = None
) -> Run:
    assembled = run.assembled._replace(config=config)
    best = max(map(_best_return, run.metrics))
    past = Past(list(run.metrics), [], best, run.best_policy, run.metrics[-1]["timing"]["wall_s"])
    # Its own buffers: the chunk is donated its run, and `run.state` must stay readable.
    start = lambda _: jax.tree.map(jnp.copy, run.state)
    return _trained(assembled, None, _tellers(progress_fn, listener), start=start, past=past)


def load(
    run_directory: str | Path,
    *,
    env: Any = None,
    evaluation_env: Any = None,
    randomize: Callable | None = None,
    log_prior: Callable | None = None,
) -> Run:
    """A run from its directory: config, metrics and best policy; the rest is read when it is resumed.

    Args: as of `train`. env, evaluation_env: those that lived in the process that trained, or others with the same
      observations and actions.
    Raises: CheckpointError where there is no run, or none of its policies verifies. ConfigError: an environment that
      must be given again, or that is not what it was.
    """
    run_directory = Path(run_directory)
    about = identity.read(run_directory)
    config = read(about["config"])
    other = identity.lasting(run_directory, about, env=env is not None, evaluation_env=evaluation_env is not None)
    env = None if env is None else found(env, config.env.kwargs)._replace(name=config.env.env)
    pieces = {"env": env, "evaluation_env": evaluation_env or other, "randomize": randomize, "log_prior": log_prior}
    assembled = assemble(config, **pieces, members=about.get("members"))
    if "environment" in about:
        specs.require_alike(
            about["environment"], assembled.program.env.spec, f"{run_directory} has another {config.env.env}"
        )
    best = checkpoint.restore_best(run_directory / "checkpoints", abstract_policy(assembled, abstract_run(assembled)))
    if best is None:
        raise CheckpointError(f"{run_directory} has no evaluated policy yet; train it further first")
    return Run(config, run_directory, metrics.read(run_directory / "metrics.jsonl"), assembled, best.state)


def _best_return(line: Mapping[str, Any]) -> float:
    returns = np.asarray(line["eval"]["return_mean"], float)
    return float(np.where(np.isfinite(returns), returns, -np.inf).max())


def _tellers(progress_fn: ProgressFn | None, listener: Listener | None) -> Listener:
    def tell(event: dict[str, Any]) -> None:
        if listener is not None:
            listener(event)
        if progress_fn is not None and event["event"] == "evaluation":
            progress_fn(event["record"]["env_steps"], event["record"])

    return tell


def _inherit(run: RunState, from_run: str | Path, env: Source) -> RunState:
    """The new run with the old one's agent; replay, environments and clock start afresh. Args: `env`: the new run's."""
    source = Path(from_run)
    about = identity.read(source)
    old = assemble(read(about["config"]), env=env if about.get("environment", {}).get("only_in_process") else None)
    restored = checkpoint.restore(source / "checkpoints", abstract_run(old))
    if restored is None:
        raise CheckpointError(f"{source} has no checkpoint to start from")
    agent, fresh = restored.state.learner.agent, run.learner.agent
    shapes = [jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree) for tree in (agent, fresh)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"the learner of {source} has other shapes than this run's: use its env, algorithm, seeds and the "
            f"{old.config.algorithm} settings that shape networks"
        )
    return run._replace(learner=run.learner._replace(agent=agent))
