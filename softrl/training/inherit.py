"""A new run that begins with what a finished one learnt."""

from pathlib import Path

import jax

from softrl.envs import Source
from softrl.errors import CheckpointError, ConfigError
from softrl.training import identity
from softrl.training.assemble import assemble
from softrl.training.config import read
from softrl.training.opening import restored_run
from softrl.training.programs import abstract_run
from softrl.training.state import RunState


def inherit(run: RunState, from_run: str | Path, env: Source) -> RunState:
    """The new run with the old one's agent; replay, environments and clock start afresh. Args: `env`: the new run's.

    Raises: CheckpointError: `from_run` is no run, or has no checkpoint. ConfigError: its networks have other shapes.
    """
    source = Path(from_run)
    about = identity.read(source)
    old = assemble(read(about["config"]), env=env if about.get("environment", {}).get("only_in_process") else None)
    restored = restored_run(source, abstract_run(old))
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
