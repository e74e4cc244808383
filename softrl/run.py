"""`softrl.train(config) -> Run`, `softrl.load(directory) -> Run`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl import zoo
from softrl.agents import algorithm
from softrl.agents.carry import afresh
from softrl.agents.observations import inputs, whole
from softrl.config import change
from softrl.envs import boxes, found, found_by
from softrl.errors import CheckpointError, ConfigError, SoftRLError, TensorError, require_known
from softrl.export import Exported, chosen_format, export
from softrl.numpy_policy import observed
from softrl.reporting import show
from softrl.reporting.curve import curve
from softrl.reporting.film import film
from softrl.reporting.watched import Note, ProgressFn, watched
from softrl.storage import checkpoint, metrics
from softrl.training import identity, signals, specs
from softrl.training.assemble import Assembled, assemble
from softrl.training.compilation import use_compilation_cache
from softrl.training.config import Config, read
from softrl.training.evaluate import Evaluation
from softrl.training.inherit import inherit
from softrl.training.opening import Past, abstract_policy, opened
from softrl.training.programs import abstract_run
from softrl.training.session import Listener, advance
from softrl.training.state import RunState
from softrl.types import PyTree
from softrl.zoo.published import published


@dataclass(frozen=True)
class Run:
    """A run, finished or not.

    config: as it was run. directory: None where it was kept in memory. metrics: one record an evaluation. state: the
    whole `RunState`, None where it was loaded and not asked for. best_policy: of the best evaluation. stopped_by: the
    signal that ended training early, or None. tallies: what was counted since the last record.
    """

    config: Config
    directory: Path | None
    metrics: list[dict[str, Any]]
    assembled: Assembled
    best_policy: PyTree
    state: RunState | None = None
    stopped_by: int | None = None
    tallies: list[dict[str, list[float]]] = field(default_factory=list)

    def __repr__(self) -> str:
        lines = [
            f"Run of {self.config.algorithm} on {show.title(self.assembled)}",
            show.summary(self.metrics),
            f"meant for {self.config.training.steps:,} steps; settings in .config, numbers in .metrics",
            f"in {self.directory}" if self.directory else "in memory only: give softrl.train out=… to keep it",
            ".policy(obs) .plot() .evaluate() .render() .export() .resume(steps=…)",
        ]
        return "\n  ".join(lines)

    def policy(self, obs: Any, key: jax.Array | None = None) -> jax.Array:
        """The best-evaluated policy's actions for observations.

        Args: `obs`: one observation or a batch `[B, ...]`, arrays or lists; what only the critic sees may be missing.
          `key`: to sample; without it the mode.
        Returns: `[A]` or `[B, A]` within the robot's own bounds, those of a `Box` of more axes in one row; of one of n
          `[]` or `[B]`, 0 … n − 1.
        Raises: ConfigError naming an observation that is missing or has another shape.
        """
        spec = self.assembled.program.env.spec
        try:
            parts, single = observed(inputs(spec.obs, spec.actor_obs), obs)
        except TensorError as error:
            raise ConfigError(str(error)) from None
        seen = spec.obs if spec.actor_obs is None else {spec.actor_obs: spec.obs[spec.actor_obs]}
        batch = whole(spec, jax.tree.unflatten(jax.tree.structure(seen), parts))
        action = self._act(self.best_policy, batch, key)
        return action[0] if single else action

    @functools.cached_property
    def _act(self):
        agent, kind = self.assembled.program.agent, self.assembled.program.env.spec.action
        return jax.jit(lambda policy, obs, key: boxes.own(kind, afresh(agent, policy, obs, key)))

    def plot(self, path: str | Path | None = None) -> Path:
        """Draws the learning curve as .png, .svg or .pdf. Returns: `path`, by default curve.png as `export` says."""
        return curve(self.metrics, self._place(path, "curve.png"), title=show.title(self.assembled))

    def evaluate(self, *, episodes: int = 128, seed: int = 0) -> Evaluation:
        """Undiscounted returns and lengths of episodes of the best policy, NumPy arrays of `episodes` each.

        Args: `episodes`: so many by the policy's mode, and as many by sampling; `seed`: of the episodes; training
          chose the policy on those of 0.
        """
        return show.evaluated(self.assembled, self.best_policy, episodes=episodes, seed=seed)

    def render(self, path: str | Path | None = None, *, steps: int = 250, seed: int = 0, note: Note = print) -> Path:
        """Films the best policy as .mp4, .gif or .html, by default replay.mp4 as `export` says.

        Args: `steps`: environment steps to show; `seed`: of the episode; `note`: called where it matters how.
        Returns: the file. Raises: ConfigError for an environment that cannot be seen. RenderError.
        """
        path = self._place(path, "replay.mp4")
        return film(self.assembled, self.best_policy, path, steps=steps, seed=seed, note=note)

    def demonstrate(self, path: str | Path | None = None, *, episodes: int = 20, seed: int = 0) -> Path:
        """Writes what the best policy does, drawn and not by its mode, in whole episodes: an .npz with D4RL's keys.

        Args: `path`: by default demonstrations.npz as `export` says; `seed`: of the episodes.
        Returns: the file, which `--algorithm airl --demonstrations` takes, and `Learner.add(…, names="d4rl")`.
        """
        path = self._place(path, "demonstrations.npz")
        show.demonstrated(self.assembled, self.best_policy, path, episodes=episodes, seed=seed)
        return path

    @property
    def version(self) -> int:
        """Gradient updates behind the best policy."""
        newest = algorithm(self.config.algorithm).keeps == "newest"
        return (self.metrics[-1] if newest else max(self.metrics, key=_best_return))["updates"]

    def export(self, path: str | Path | None = None, format: str | None = None, what: str = "policy") -> Exported:
        """Writes the best policy's mode as a file: onnx, stablehlo or safetensors, in the robot's own bounds.

        Args: `path`: by default <what>.<format> in the run's directory, or here where it has none; `format`: by default
          what `path` ends with, or else onnx; `what`: another network that its algorithm has learned with it, a
          `reward` say, as onnx or safetensors.
        Returns: the file, its size, and how far its actions are from this run's. Raises: as `softrl.export.write`.
        """
        path = self._place(path, f"{what}.{chosen_format(format)}")
        return export(self.assembled, self.best_policy, path, format=format, version=self.version, what=what)

    def _place(self, path: str | Path | None, name: str) -> Path:
        return (self.directory or Path()) / name if path is None else Path(path)

    def resume(self, *, steps: int | None = None, **options: Any) -> "Run":
        """Goes on to `steps` environment steps (by default the config's), as `train` would in the same directory."""
        config = self.config if steps is None else change(self.config, steps=steps)
        if self.directory is None:
            if self.state is None:
                raise ConfigError(
                    "a policy of the zoo has no learner to go on with; train anew: softrl.train(run.config)"
                )
            for name in options:
                require_known("option of a run in memory", name, ("progress", "sinks", "progress_fn", "listener"))
            return _resume_in_memory(self, config, **options)
        here = {**_pieces(self.assembled), **options}
        return train(config, out=self.directory, members=self.assembled.members, **here)


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
    progress: bool = True,
    sinks: str | Sequence[str] = (),
    video: bool = False,
) -> Run:
    """Trains, or resumes, a run. With `out` it leaves a learning curve and a report there at the end.

    Args:
      config: `softrl.preset(env, ...)`.
      env: an environment of your own, in place of the one that the config names: a `softrl.Simulator`, an environment
        of Brax's or MuJoCo Playground's kind, one in gymnax's manner, a Gymnasium id, or a function that makes one of
        these or a Gymnasium environment.
      evaluation_env: another one, as `env`, to evaluate in.
      out: directory of the run; the same config in the same directory resumes it, bit for bit. None keeps it in memory.
      progress_fn: called after every evaluation.
      from_run: start from this finished run's learner: parameters, optimisers, temperature and statistics. A run in
        `out` that began otherwise is refused.
      randomize: `(key, model) -> model`, domain randomisation of an environment of Brax's or Playground's kind by a
        function of your own, drawn anew for every episode of training; `domain_randomization` is by what comes with it.
      log_prior: `(obs, action) -> log density`, a finite action prior of your own, for `obs` as the environment gives
        them; of discrete actions it is asked about all n at once, `action [B, n] -> [B, n]`.
      members: what each of the `seeds` members has of its own, in place of seeds that follow one another:
        `[{"seed": 3, "critic_lr": 1e-3}, ...]`.
      listener: called at every chunk, evaluation and checkpoint (see `softrl.training.session`).
      progress: whether to show on standard output how the run is getting on.
      sinks: also send the numbers to these: `["tensorboard", "wandb"]`, or one text with commas; they need `out`.
      video: film the best policy at the end, too.
    Returns: `Run`. On SIGTERM the chunk is finished, everything saved, and `stopped_by` set.
    Raises:
      KeyboardInterrupt: on Ctrl-C, the same has been done; its `result` is the run.
      ConfigError: a setting that cannot be, or one that differs from the run in `out`; nothing is changed.
      CheckpointError: the disk is full, read-only or damaged. DivergedError: every member froze.
    """
    if not isinstance(config, Config):
        raise ConfigError(f"softrl.train takes a config, such as softrl.preset('brax/ant') gives; got {config!r}")
    use_compilation_cache()
    if from_run is not None:
        zoo.refuse(from_run)
    if env is not None:
        env = found(env, config.env.kwargs)
        config = change(config, **found_by(env))
    pieces = {"env": env, "evaluation_env": evaluation_env, "randomize": randomize, "log_prior": log_prior}
    out = None if out is None else Path(out)
    watching = {"progress": progress, "sinks": sinks, "progress_fn": progress_fn, "listener": listener}
    with watched(config, out, **watching) as (tell, note):
        assembled = assemble(config, **pieces, members=members)
        start = None
        if from_run is not None:
            assembled = assembled._replace(origin=str(Path(from_run).resolve()))
            start = inherit(assembled, from_run)
        run = _trained(assembled, out, tell, start=start)
        if out is not None and run.stopped_by is None:
            _leave(run, note, video)
    return run


def _trained(assembled: Assembled, out: Path | None, tell: Listener, **how: Any) -> Run:
    """The run as far as its config or a signal lets it go. Args: `how`: of `opened`."""
    with opened(assembled, out, tell, **how) as session, signals.graceful() as request:
        advance(session, request, tell)
        stopped = None if request.requested is None else int(request.requested)
    at = {"state": session.run, "stopped_by": stopped, "tallies": session.tallies}
    run = Run(assembled.config, out, session.records, assembled, session.best_policy, **at)
    kept = "the run is this exception's `result`" if out is None else f"all is saved, the same call goes on: {out}"
    done = int(session.run.clock.step) * assembled.config.env.num_envs
    return signals.returned(run, stopped, f"stopped after {done:,} steps; {kept}")


def _leave(run: Run, note: Note, video: bool) -> None:
    """Curve, film and report beside the numbers; without them the run is no less done."""
    try:
        show.report(run.assembled, run.metrics, run.best_policy, run.directory, video=video, note=note)
        filmed = video and (run.directory / "replay.mp4").exists()
        note(f"report      {report(run.directory, video=filmed, note=note)}")
    except SoftRLError as error:
        note(f"no curve or report: {error}")


def report(directory: str | Path, out: str | Path | None = None, *, video: bool = True, note: Note = print) -> Path:
    """Writes one HTML page on a run or a sweep. Returns: `out`, by default report.html in the directory.

    Args: `video`: with a film of the best policy; `note`: called with a line where it matters how it was drawn.
    Raises: CheckpointError where there is neither, or the page cannot be written.
    """
    from softrl.reporting import report as pages

    directory = Path(directory)
    zoo.refuse(directory)
    page = pages.read(directory)
    if video:
        page = pages.with_video(page, directory, load, note)
    return pages.write(page, out or directory / "report.html")


def _pieces(assembled: Assembled) -> dict[str, Any]:
    return {"env": assembled.source, "evaluation_env": assembled.evaluation_source, **assembled.functions}


def _resume_in_memory(run: Run, config: Config, **watching: Any) -> Run:
    # Anew: what falls during a run falls along another curve in a longer one.
    assembled = assemble(config, **_pieces(run.assembled), members=run.assembled.members)
    best = max(map(_best_return, run.metrics))
    past = Past(list(run.metrics), list(run.tallies), best, run.best_policy, run.metrics[-1]["timing"]["wall_s"])
    # Its own buffers: the chunk is donated its run, and `run.state` must stay readable.
    start = lambda _: jax.tree.map(jnp.copy, run.state)
    with watched(config, None, **watching) as (tell, _):
        return _trained(assembled, None, tell, start=start, past=past)


def load(
    run_directory: str | Path,
    *,
    env: Any = None,
    evaluation_env: Any = None,
    randomize: Callable | None = None,
    log_prior: Callable | None = None,
) -> Run:
    """A run from its directory: config, metrics and best policy; the rest is read when it is resumed.

    `zoo/NAME` is a policy of `softrl.zoo`, its card in place of metrics; it cannot be resumed.

    Args: as of `train`. env, evaluation_env: those that lived in the process that trained, or others with the same
      observations and actions.
    Raises: CheckpointError where there is no run, or none of its policies verifies. ConfigError: an environment that
      must be given again, or that is not what it was.
    """
    run_directory, card = Path(run_directory), zoo.shipped(run_directory)
    about = identity.read(run_directory) if card is None else card._asdict()
    config = read(about["config"])
    other = identity.lasting(run_directory, about, env=env is not None, evaluation_env=evaluation_env is not None)
    env = None if env is None else found(env, config.env.kwargs)._replace(name=config.env.env)
    pieces = {"env": env, "evaluation_env": evaluation_env or other, "randomize": randomize, "log_prior": log_prior}
    assembled = assemble(config, **pieces, members=about.get("members"))
    if "environment" in about:
        specs.require_alike(
            about["environment"], assembled.program.env.spec, f"{run_directory} has another {config.env.env}"
        )
    if card is not None:
        return Run(config, None, [card.record], assembled, published(assembled, zoo.load(card.name)))
    best = checkpoint.restore_best(run_directory / "checkpoints", abstract_policy(assembled, abstract_run(assembled)))
    records = metrics.read(run_directory / "metrics.jsonl")
    if best is None and records:
        raise CheckpointError(
            f"{run_directory} has no best policy: none of its {len(records)} evaluations has a finite return; look at "
            "the numbers that its environment gives"
        )
    if best is None:
        raise CheckpointError(f"{run_directory} has no evaluated policy yet; train it further first")
    return Run(config, run_directory, records, assembled, best.state)


def _best_return(line: Mapping[str, Any]) -> float:
    returns = np.asarray(line["eval"]["return_mean"], float)
    return float(np.where(np.isfinite(returns), returns, -np.inf).max())
