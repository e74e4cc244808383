"""`softrl export · serve`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from softrl.errors import ConfigError


@dataclass(frozen=True)
class ExportOptions:
    """A finished run's policy as a file."""

    run: tyro.conf.Positional[str]
    """Directory of the run."""
    format: str = "onnx"
    """onnx, stablehlo (`jax.export`) or safetensors (for NumPy: softrl.numpy_policy)."""
    out: str | None = None
    """File; by default policy.<format> in the run."""
    member: int | None = None
    """Of a run with several seeds, this member's newest policy instead of the best one."""


@dataclass(frozen=True)
class ServeOptions:
    """A learner that actors in other processes, or on other machines, feed."""

    out: str
    """Directory of the learner. The same command again goes on where it stopped or was killed."""
    obs: str
    """Shape of an observation: 17, or 3x4; of a dictionary's entries: state=17,privileged_state=23."""
    actions: str
    """What an action is: 6 for so many numbers, each in [-1, 1]; discrete=4 for one of so many."""
    address: str = "127.0.0.1:50051"
    """Where to listen; beyond loopback only with a token and TLS."""
    token_file: str | None = None
    """File with the word that every call must carry; only you may be able to read it."""
    tls_cert: str | None = None
    """PEM file with the server's certificate."""
    tls_key: str | None = None
    """PEM file with its private key."""
    replay_capacity: int = 1_000_000
    """Transitions kept."""
    seed: int = 0
    """Seed of the networks and of sampling."""


def export(argv: list[str]) -> int:
    """`softrl export`."""
    options = tyro.cli(ExportOptions, args=argv, prog="softrl export", description="Write a run's policy as a file.")
    from softrl import export as exporting
    from softrl.run import load

    exporting.require_format(options.format)
    run, path = load(options.run), Path(options.out or Path(options.run) / f"policy.{options.format}")
    member = options.member
    policy = run.best_policy if member is None else exporting.member_policy(options.run, run.assembled, member)
    done = exporting.export(run.assembled, policy, path, format=options.format)
    print(f"{done.path}: {done.bytes:,} bytes")
    print(f"max difference from the live policy over {done.observations:,} observations: {done.difference:.2g}")
    return 0


def serve(argv: list[str]) -> int:
    """`softrl serve`."""
    from softrl.cli_parts import parsed, peeked
    from softrl.learner import LearnerConfig

    try:
        from softrl.serve import command
        from softrl.serve.server import ServeConfig
    except ModuleNotFoundError as error:
        raise ConfigError(f"softrl serve needs {error.name}: pip install 'softrl[serve]'") from None

    default = LearnerConfig(algorithm=peeked(argv, "--algorithm") or "sac")
    about = "Learn from what actors push."
    learner, options, server = parsed(
        default, {"serve": ServeOptions, "server": ServeConfig()}, argv, prog="softrl serve", description=about
    )
    return command.serve(options, server, learner)
