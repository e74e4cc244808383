"""A new run that begins with what a finished one learnt."""

from collections.abc import Callable
from pathlib import Path

import jax

from softrl.errors import CheckpointError, ConfigError
from softrl.training import identity
from softrl.training.assemble import Assembled, assemble
from softrl.training.config import read
from softrl.training.opening import restored_run
from softrl.training.programs import abstract_run
from softrl.training.state import RunState
from softrl.types import PyTree


def inherit(assembled: Assembled, from_run: str | Path) -> Callable[[RunState], RunState]:
    """Gives a new run's first state the old one's agent; replay, environments and clock start afresh.

    Args: `assembled`: the new run.
    Raises: CheckpointError: `from_run` is no run. ConfigError: its networks have other shapes. What it returns raises
      CheckpointError where no checkpoint of the old run verifies.
    """
    source = Path(from_run)
    about = identity.read(source)
    env = assembled.source if about.get("environment", {}).get("only_in_process") else None
    old = assemble(read(about["config"]), env=env)
    abstract = abstract_run(old)
    if _shapes(abstract) != _shapes(abstract_run(assembled)):
        raise ConfigError(
            f"the learner of {source} has other shapes than this run's: use its env, algorithm, seeds and the "
            f"{old.config.algorithm} settings that shape networks"
        )

    def start(run: RunState) -> RunState:
        restored = restored_run(source, abstract)
        if restored is None:
            raise CheckpointError(f"{source} has no checkpoint to start from")
        return run._replace(learner=run.learner._replace(agent=restored.state.learner.agent))

    return start


def _shapes(run: RunState) -> PyTree:
    return jax.tree.map(lambda x: (x.shape, str(x.dtype)), run.learner.agent)
