"""What is shown of a run: progress while it trains, a curve, a film and a page afterwards, a table of returns."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from softrl.agents import algorithm
from softrl.config import change
from softrl.envs import HostEnv, make_env, physics
from softrl.errors import ConfigError, RenderError
from softrl.experience import demonstrations
from softrl.reporting.curve import curve
from softrl.reporting.film import film
from softrl.reporting.progress import Progress
from softrl.training import compilation, hosted
from softrl.training.assemble import Assembled, acting, assemble, idle
from softrl.training.config import Config
from softrl.training.demonstrate import demonstrate, demonstrate_on_host
from softrl.training.evaluate import Evaluation, evaluate, evaluation_key
from softrl.training.health import message
from softrl.training.hosted import EVALUATION_SEED
from softrl.training.records import eval_part
from softrl.types import PyTree


class RunWatcher:
    """Turns a session's events into progress on the terminal."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.note = progress.note
        self.program = ""

    def __call__(self, event: dict[str, Any]) -> None:
        """Shows one event of `softrl.training.session`."""
        kind = event["event"]
        if kind == "assembled":
            self._plan(event["assembled"], event["memory"])
        elif kind == "compiled":
            self.progress.update(compile_s=event["seconds"])
            self.note(f"compiled in {event['seconds']:.1f} s")
            compilation.remember(self.program, event["seconds"])
        elif kind == "resumed":
            for reason in event["rejected"]:
                self.note(f"passed over a checkpoint: {reason}")
            self.note(f"resuming at vector step {event['step']:,}")
            if event["new_episodes"]:
                self.note("its environments cannot be put back to where they were: they begin new episodes")
        elif kind == "changed":
            self.note(f"continues, but perhaps not bit for bit: {', '.join(event['names'])} changed since")
        elif kind == "chunk":
            told = {name: value for name, value in event.items() if name not in ("event", "evaluates")}
            self.progress.update(more=event["evaluates"], **told)
        elif kind == "evaluation":
            self._evaluation(event["record"])

    def _plan(self, assembled: Assembled, memory: str) -> None:
        config, spec = assembled.config, assembled.program.env.spec
        updates, horizon = config.training.updates_per_step, assembled.program.replay.horizon
        end = config.training.updates_per_step_end
        falling = f", falling to {end}," if end else ""
        every = "a vector step" if horizon == 1 else f"every {horizon} vector steps"
        about = algorithm(config.algorithm).summary(config.agent, assembled.hypers.agent, spec)
        self.note(
            f"{title(assembled)}: {spec.num_envs} environments, {updates}{falling} updates {every} "
            f"({updates / horizon / spec.num_envs:.3g} a transition), {about}"
        )
        made = config.chunks * config.chunk_transitions
        if made != config.training.steps:
            self.note(f"{made:,} steps for {config.training.steps:,}, in whole chunks of {config.chunk_transitions:,}")
        if why := idle(assembled):
            self.note(why)
        self.program = f"{config.algorithm} {config.env.env} {config.env.backend} {jax.local_devices()[0].device_kind}"
        before = compilation.last_seconds(self.program)
        took = "" if before is None else f", which took {before:.0f} s the last time"
        self.note(f"allocating {memory}; compiling training and evaluation{took}")

    def _evaluation(self, record: dict[str, Any]) -> None:
        mean = float(np.mean(record["eval"]["return_mean"]))
        told = {"env_steps": record["env_steps"], "updates": record["updates"], "left_out": left_out(record) or None}
        self.progress.update(eval_return=mean, **told)
        for member, code in enumerate(record["health"]["code"]):
            if code:
                self.note(f"member {member} {message(code)}")


@contextlib.contextmanager
def training(config: Config, *, progress: bool = True) -> Iterator[RunWatcher]:
    """Progress of a training run: a listener for `softrl.train`. Args: `progress`: False shows nothing."""
    console = None if progress else Console(quiet=True, force_terminal=False)
    many = f" × {config.training.seeds} seeds" if config.training.seeds > 1 else ""
    steps, label = config.chunks * config.chunk_transitions, config.env.env + many
    with Progress.open(steps, label, console=console) as shown:
        yield RunWatcher(shown)


def report(
    assembled: Assembled, records: list[dict[str, Any]], policy: PyTree, out: Path, *, video: bool, note
) -> None:
    """Leaves curve.png and, for a robot with a body, replay.mp4 beside the metrics, and says where.

    Args: `policy`: the one to film; `out`: the run's directory; `note`: prints a line.
    """
    note(summary(records))
    note(f"curve       {curve(records, out / 'curve.png', title=title(assembled))}")
    if video:
        try:
            note(f"video       {film(assembled, policy, out / 'replay.mp4', note=note)}")
        except (RenderError, ConfigError) as error:
            note(f"no video: {error}")
    note(f"checkpoint  {out / 'checkpoints'}")


def left_out(record: dict[str, Any]) -> int:
    """Steps of all members that were left out, of non-finite rewards or observations."""
    return int(np.sum(record.get("health", {}).get("quarantined", 0)))


def summary(records: list[dict[str, Any]]) -> str:
    """How far a run has come, in one line."""
    last = records[-1]
    returns = np.array([record["eval"]["return_mean"] for record in records], float)
    best = max(returns[np.isfinite(returns)], default=np.nan)
    fresh = f", {last['best']['return_mean']:.1f} on episodes that did not choose it" if "best" in last else ""
    bad = f"; {left_out(last):,} steps were left out, of non-finite numbers" if left_out(last) else ""
    return (
        f"return {np.mean(last['eval']['return_mean']):.1f} (best {best:.1f}{fresh}) after {last['env_steps']:,} "
        f"steps, {last['timing']['wall_s']:.0f} s{bad}"
    )


def title(trained: Assembled) -> str:
    """A run in a few words: robot, backend, seeds."""
    config = trained.config
    env = config.env
    named = [env.env, *filter(None, [physics(env.env, env.backend)])]
    learner = [] if config.algorithm == Config.algorithm else [config.algorithm]
    return ", ".join([*named, *learner, _seeds(trained)])


def _seeds(trained: Assembled) -> str:
    first, count = trained.config.training.seed, trained.config.training.seeds
    seeds = list(range(first, first + count)) if trained.members is None else [m["seed"] for m in trained.members]
    if count == 1:
        return f"seed {seeds[0]}"
    if seeds == list(range(seeds[0], seeds[0] + count)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    own = list(map(str, dict.fromkeys(seeds)))
    return f"{count} members, " + (f"seeds {', '.join(own)}" if len(own) <= 4 else f"{len(own):,} seeds")


def evaluated(trained: Assembled, policy: PyTree, *, episodes: int, seed: int) -> Evaluation:
    """Returns of a policy by its mode and by sampling, `episodes` of each. Args: `trained`: the run's pieces."""
    config, env = change(trained.config, eval_episodes=episodes), trained.evaluation_source or trained.source
    assembled = assemble(config, env=env)
    held_out, agent = assembled.evaluation, assembled.program.agent
    if isinstance(held_out, HostEnv):
        with contextlib.closing(held_out):
            result = hosted.evaluate(held_out, acting(assembled, policy), seed)
    else:
        result = jax.jit(lambda policy, key: evaluate(held_out, agent, policy, key))(policy, evaluation_key(seed))
    return jax.tree.map(np.asarray, result)


def demonstrated(trained: Assembled, policy: PyTree, path: Path, *, episodes: int, seed: int) -> int:
    """Writes demonstrations, see `Run.demonstrate`. Returns: how many steps."""
    source = trained.evaluation_source or trained.source
    env = make_env(trained.config.env, source, num_envs=episodes, stagger=False)
    if isinstance(env, HostEnv):
        with contextlib.closing(env):
            rows = demonstrate_on_host(env, acting(trained, policy), EVALUATION_SEED + seed)
    else:
        play = jax.jit(lambda policy, key: demonstrate(env, trained.program.agent, policy, key))
        rows = jax.tree.map(np.asarray, play(policy, evaluation_key(seed)))
    return demonstrations.write(path, rows, env.spec)


def print_returns(trained: Assembled, result: Evaluation) -> None:
    """Prints what `evaluated` found."""
    print(f"{title(trained)}: the best policy, {len(result.deterministic_return)} episodes each")
    part = eval_part(result)
    for name, prefix in (("deterministic", ""), ("stochastic", "stochastic_")):
        mean, std, length = (part[prefix + number] for number in ("return_mean", "return_std", "length_mean"))
        broken = int(np.isnan(getattr(result, f"{name}_return")).sum())
        lost = f"   ({broken:,} left out, of non-finite numbers)" if broken else ""
        print(f"  {name:13s} return {mean:9.1f} ± {std:.1f}   length {length:.1f}{lost}")
