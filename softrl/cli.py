"""`softrl train · eval · render · envs · zoo`."""

import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from softrl import __version__, cli_output, cli_serve, cli_sweep, cli_table, cli_zoo
from softrl.config import Seed, Within, setting
from softrl.errors import ConfigError, SoftRLError, require_known

USAGE = """\
softrl {version}: control as inference, compiled

  softrl train [ENV] [--steps N] [--seed S | --seeds M] [--out DIR] ...   train, or resume the same command
  softrl train --out DIR                                                  resume the run in DIR
  softrl sweep SPEC [--plan] [--out DIR] [--launcher local|ray|slurm] ... train a sweep, or go on with it
  softrl best DIR                                                         the winning command line of a sweep
  softrl eval RUN [--episodes N]                                          returns of a run's best policy
  softrl render RUN [--format mp4|gif|html]                               the best policy at work
  softrl demonstrate RUN [--episodes N]                                   what it does, as a file to learn from
  softrl export DIR --format onnx|stablehlo|safetensors [--out FILE]      a run's or a learner's policy as a file
  softrl report DIR                                                       one HTML page on a run or a sweep
  softrl table DIR [--against FILE] [--out FILE]                          many runs by task and algorithm, with scores
  softrl serve --out DIR --obs 17 --actions 6 [--address HOST:PORT] ...   a learner that other processes feed
  softrl envs                                                             what ENV can be, besides my_module:make_env
  softrl zoo                                                              trained policies, each a RUN called zoo/NAME

`softrl COMMAND --help` lists every setting with its default for ENV (first: brax/halfcheetah).
"""


@dataclass(frozen=True)
class TrainOptions:
    """Where a run goes and what it starts from."""

    out: str | None = None
    """The run goes to this directory, by default runs/<env>-<backend>-seed<seed>; the same command again resumes it."""
    preset: str = "tuned"
    """Start from these defaults, one of the algorithm's presets, which are listed above."""
    from_run: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Start from the learner of this finished run."""
    video: bool = True
    """Leave a video of the best policy beside the curve."""
    sinks: str = ""
    """Send the numbers of metrics.jsonl to these as well: tensorboard, wandb, or both with a comma between them."""


@dataclass(frozen=True)
class EvalOptions:
    """Evaluation of a finished run."""

    run: tyro.conf.Positional[str]
    """Evaluate the run in this directory, or the policy zoo/NAME of the zoo."""
    episodes: int = 128
    """Run this many episodes by the policy's mode, and as many by sampling."""
    seed: int = 0
    """Draw the episodes from this seed; training chose the policy by those of 0, and measured it on those of 1."""


@dataclass(frozen=True)
class RenderOptions:
    """A film of a finished run."""

    run: tyro.conf.Positional[str]
    """Film the run in this directory, or the policy zoo/NAME of the zoo."""
    format: str = "mp4"
    """Write a film as mp4 or gif, or a page with Brax's viewer as html."""
    out: str | None = None
    """Write to this file, by default replay.<format> in the run's directory; here for one of the zoo."""
    steps: int = 250
    """Show this many environment steps."""
    seed: int = 0
    """Draw the episode from this seed."""


@dataclass(frozen=True)
class DemonstrateOptions:
    """Whole episodes of a finished run's best policy, drawn and not by its mode, as an .npz with D4RL's keys."""

    run: tyro.conf.Positional[str]
    """Record the run in this directory, or the policy zoo/NAME of the zoo."""
    out: str | None = None
    """Write to this file, by default demonstrations.npz in the run's directory; here for one of the zoo."""
    episodes: int = 20
    """Record this many episodes."""
    seed: int = 0
    """Draw the episodes from this seed."""


@dataclass(frozen=True)
class ReportOptions:
    """One self-contained HTML page."""

    directory: tyro.conf.Positional[str]
    """Report on the run or the sweep in this directory."""
    out: str | None = None
    """Write to this file, by default report.html in the directory."""
    video: bool = True
    """Put a film of the best policy on the page."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done; 2 a user's error, one line, no traceback; 130 and 143 stopped and saved."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # XLA's alarms of slow compilation are no news to who reads our progress; what fails is an exception as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    gone = "softrl: nobody reads the standard output any more; the command goes on"
    works = argv[:1] in (["train"], ["sweep"], ["serve"]) and not {"-h", "--help", "--plan"} & set(argv)
    with cli_output.patient(gone if works else ""):
        _called(argv)


def _called(argv: list[str]) -> None:
    commands = {
        "train": _train,
        "sweep": cli_sweep.sweep,
        "best": cli_sweep.best,
        "eval": _eval,
        "render": _render,
        "demonstrate": _demonstrate,
        "report": _report,
        "table": cli_table.table,
        "export": cli_serve.export,
        "serve": cli_serve.serve,
        "envs": _envs,
        "zoo": cli_zoo.table,
    }
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE.format(version=__version__))
        sys.exit(0 if argv else 2)
    if argv[0] == "--version":
        print(__version__)
        return
    try:
        require_known("command", argv[0], commands)
        sys.exit(commands[argv[0]](argv[1:]))
    except SoftRLError as error:
        print(f"softrl: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # before there was anything to save
        print("softrl: stopped", file=sys.stderr)
        sys.exit(130)
    except (RuntimeError, AssertionError) as error:
        if not traceback.extract_tb(error.__traceback__)[-1].filename.endswith("xla_bridge.py"):
            raise
        wanted, said = os.environ.get("JAX_PLATFORMS", ""), " ".join(str(error).split())[:200]
        advice = "leave it out, or say JAX_PLATFORMS=cpu" + (f" ({said})" if said else "")
        print(f"softrl: JAX finds no device for JAX_PLATFORMS={wanted}: {advice}", file=sys.stderr)
        sys.exit(2)


def _train(argv: list[str]) -> int:
    started = time.perf_counter()
    options, config, pieces = _parsed_train(argv)
    from softrl import run as running
    from softrl.training.signals import Interrupted

    out = Path(options.out or _default_out(config))
    how = {"from_run": options.from_run, "sinks": options.sinks, "video": options.video}
    try:
        run = running.train(config, out=out, **how, **pieces)
    except Interrupted as stop:
        run = stop.result
    if run.stopped_by is not None:
        done = int(run.state.clock.step) * config.env.num_envs
        print(f"stopped and saved after {done:,} steps; the same command goes on: {out}")
        return 128 + run.stopped_by
    print(f"done in {time.perf_counter() - started:.0f} s: {out}")
    return 0


def _parsed_train(argv: list[str]) -> tuple[TrainOptions, Any, dict[str, Any]]:
    """Options; the config; and what else a run that goes on needs. Without ENV it is the run in --out, if one is there;
    otherwise the config's defaults are the robot's preset of the algorithm."""
    from softrl.cli_parts import parsed, peeked
    from softrl.training.config import validated

    env = argv.pop(0) if argv and not argv[0].startswith("-") else peeked(argv, "--env")
    name, out, pieces = peeked(argv, "--preset") or "tuned", peeked(argv, "--out"), {}
    if env is None and out is not None and (Path(out) / "config.json").exists():
        default, pieces = _kept(Path(out))
        env, about = default.env.env, f"Go on with the run in {out}. Defaults: its settings."
    else:
        if env is None and out is not None and not {"-h", "--help"} & set(argv):
            raise ConfigError(f"{out} holds no run to go on with; to begin one there: softrl train ENV --out {out}")
        env = env or "brax/halfcheetah"
        default = _preset(env, name, argv)
        about = (
            f"Train {default.algorithm} on {env}. Defaults: preset {name!r} for this kind of device.{_presets(default)}"
        )
    config, options = parsed(
        default, {"run": TrainOptions(preset=name)}, argv, prog=f"softrl train {env}", description=about
    )
    return options, validated(config), pieces


def _presets(config: Any) -> str:
    """Each preset of the algorithm in a sentence, for its help."""
    from softrl.agents import algorithm

    said = {
        name: (preset.__doc__ or "").partition(" Args:")[0]
        for name, preset in algorithm(config.algorithm).presets.items()
    }
    return "".join(f"\n\n{name}: {sentence}" for name, sentence in said.items())


def _preset(env: str, name: str, argv: list[str]) -> Any:
    from softrl.cli_parts import peeked
    from softrl.presets import preset

    kwargs = peeked(argv, "--env-kwargs")
    own = {} if kwargs is None else {"env_kwargs": kwargs}
    return preset(env, algorithm=peeked(argv, "--algorithm") or "sac", name=name, **own)


def _kept(out: Path) -> tuple[Any, dict[str, Any]]:
    """The config of the run in a directory, and its other arguments of `softrl.train`."""
    from softrl.training import identity
    from softrl.training.config import read

    about = identity.read(out)
    evaluation_env = identity.lasting(out, about, env=False, evaluation_env=False)
    return read(about["config"]), {"members": about.get("members"), "evaluation_env": evaluation_env}


def _default_out(config) -> str:
    from softrl.envs import physics

    env, training = config.env, config.training
    moved = physics(env.env, env.backend)
    name = re.sub(r"[^\w.-]", "-", env.env) + (f"-{moved}" if moved else "")
    name += "" if config.algorithm == type(config).algorithm else f"-{config.algorithm}"
    many = f"x{training.seeds}" if training.seeds > 1 else ""
    return os.path.join("runs", f"{name}-seed{training.seed}{many}")


def _eval(argv: list[str]) -> int:
    options = tyro.cli(EvalOptions, args=argv, prog="softrl eval", description="Evaluate a run's best policy.")
    from softrl.reporting import show
    from softrl.run import load

    seed = setting("seed", options.seed, Seed)
    episodes = setting("episodes", options.episodes, Annotated[int, Within(1)])
    run = load(options.run)
    show.print_returns(run.assembled, run.evaluate(episodes=episodes, seed=seed))
    return 0


def _render(argv: list[str]) -> int:
    options = tyro.cli(RenderOptions, args=argv, prog="softrl render", description="Film a run's best policy.")
    if options.format not in ("mp4", "gif", "html"):
        raise ConfigError(f"format must be mp4, gif or html, got {options.format!r}")
    from softrl.run import load

    seed, steps = setting("seed", options.seed, Seed), setting("steps", options.steps, Annotated[int, Within(1)])
    run = load(options.run)
    path = options.out or (run.directory or Path()) / f"replay.{options.format}"
    print(run.render(path, steps=steps, seed=seed))
    return 0


def _demonstrate(argv: list[str]) -> int:
    about = "Record what a run's best policy does, for others to learn from."
    options = tyro.cli(DemonstrateOptions, args=argv, prog="softrl demonstrate", description=about)
    from softrl.run import load

    seed = setting("seed", options.seed, Seed)
    episodes = setting("episodes", options.episodes, Annotated[int, Within(1)])
    print(load(options.run).demonstrate(options.out, episodes=episodes, seed=seed))
    return 0


def _report(argv: list[str]) -> int:
    options = tyro.cli(ReportOptions, args=argv, prog="softrl report", description="One HTML page on a run or sweep.")
    from softrl.run import report

    print(report(options.directory, options.out, video=options.video))
    return 0


def _envs(argv: list[str]) -> int:
    if argv:
        raise ConfigError(f"softrl envs takes no arguments, got {' '.join(argv)}")
    from softrl.envs import names

    print("\n".join(names()))
    return 0


if __name__ == "__main__":
    main()
