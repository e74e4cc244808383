"""`softrl export · serve`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from softrl import zoo
from softrl.errors import ConfigError, require_known


@dataclass(frozen=True)
class ExportOptions:
    """A policy as a file."""

    run: tyro.conf.Positional[str]
    """Export the policy of the run or the learner in this directory, or the policy zoo/NAME of the zoo."""
    format: str | None = None
    """Write onnx, stablehlo (for `jax.export`) or safetensors (for NumPy, with softrl.numpy_policy); by default what
    --out ends with, or else onnx."""
    out: str | None = None
    """Write to this file, by default <what>.<format> in that directory; here for one of the zoo."""
    what: str = "policy"
    """Write the policy, or another network that the run's algorithm learned with it, such as a reward."""
    member: int | None = None
    """Take the newest policy of this member of a run with several seeds, instead of the best policy of all."""


@dataclass(frozen=True)
class ServeOptions:
    """A learner that actors in other processes, or on other machines, feed."""

    out: str
    """The learner is kept in this directory; the same command again goes on where it stopped or was killed."""
    obs: str
    """An observation has this shape: 17, or 3x4, or by the names of a dictionary state=17,privileged_state=23."""
    actions: str
    """An action is this: 6 for so many numbers, each in [-1, 1], 6@-2:2 for as many from -2 to 2, 2@-2:2,0:1 with
    bounds for each, or discrete=4 for one of so many choices."""
    address: str = "127.0.0.1:50051"
    """Listen at this address; beyond loopback a token and TLS are required."""
    token_file: str | None = None
    """Every call must carry the word in this file, which nobody else may be able to read."""
    tls_cert: str | None = None
    """The server's certificate is in this PEM file."""
    tls_key: str | None = None
    """The server's private key is in this PEM file."""
    replay_capacity: int = 1_000_000
    """Replay keeps this many transitions."""
    seed: int = 0
    """Draw the networks and the batches from this seed."""


def export(argv: list[str]) -> int:
    """`softrl export`."""
    options = tyro.cli(ExportOptions, args=argv, prog="softrl export", description="Write a policy as a file.")
    from softrl.export import chosen_format

    done = _exported(options, Path(options.run), chosen_format(options.format, options.out))
    print(f"{done.path}: {done.bytes:,} bytes")
    print(f"max difference from the live policy over {done.observations:,} observations: {done.difference:.2g}")
    return 0


def _exported(options: ExportOptions, directory: Path, format: str) -> Any:
    """The file of the policy that the directory holds, and how well it acts."""
    from softrl import export as exporting
    from softrl.learner import files, saved
    from softrl.run import load

    if zoo.shipped(directory) is None and files.is_learner(directory):
        if options.member is not None:
            raise ConfigError(f"{directory} holds a learner, which has one policy: leave --member out")
        require_known("network of a learner", options.what, ("policy",))
        return exporting.write(saved.newest(directory), options.out or directory / f"policy.{format}", format=format)
    run = load(directory)
    if options.member is None:
        return run.export(options.out, format, options.what)
    if run.directory is None:
        raise ConfigError(f"{directory} is one policy: leave --member out")
    policy, version = exporting.member_policy(directory, run.assembled, options.member)
    path = options.out or directory / f"{options.what}.{format}"
    return exporting.export(run.assembled, policy, path, format=format, version=version, what=options.what)


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
