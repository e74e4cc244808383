"""What a learner's directory has learnt, read without compiling a program and without claiming the directory."""

from pathlib import Path

from softrl.agents import algorithm
from softrl.agents.spaces import spec_of
from softrl.algorithm import Agent
from softrl.errors import CheckpointError
from softrl.export import Live
from softrl.learner import compute, files
from softrl.learner.config import LearnerConfig, validated
from softrl.learner.programs import abstract_state
from softrl.storage import checkpoint
from softrl.types import PyTree, Spec


def live(config: LearnerConfig, spec: Spec, agent: Agent, policy: PyTree, version: int) -> Live:
    """A learner's policy as what `softrl.export.write` takes."""
    plain = algorithm(config.algorithm).actor(config.agent, spec, policy, version=version)
    return Live(agent, spec, policy, plain, {})


def newest(path: str | Path) -> Live:
    """The policy of the newest save in a learner's directory, also while a process is at work in it.

    Raises: CheckpointError: there is no learner, it was never saved, or no save of it verifies.
    """
    path = Path(path)
    known = files.description(path)
    capacity = known["replay_capacity"]
    config = validated(known["config"], capacity)
    spec = spec_of(
        known["obs_spec"], known["action_spec"], actor_obs=known["actor_obs"], critic_obs=known["critic_obs"]
    )
    parts = compute.parts(config, spec, capacity)
    found = checkpoint.restore(path / "checkpoints", abstract_state(parts, compute.numbers(config, spec)))
    if found is None:
        raise CheckpointError(f"{path} holds a learner that was never saved: call its `save` first")
    agent = parts.program.agent
    return live(config, spec, agent, agent.policy(found.state.learner.agent), found.meta["version"])
