"""Which environments, and how many."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from softrl.config import Within
from softrl.errors import ConfigError


@dataclass(frozen=True)
class EnvConfig:
    """Which environments, and how many."""

    env: str = "brax/halfcheetah"
    """Train in this environment, one of `softrl envs`, or in what a function of yours makes: `my_module:make_env`."""
    backend: str = "spring"
    """Brax moves by this: generalized, positional, spring or mjx; Playground by jax; hosts step sync, or async in a
    process each."""
    num_envs: Annotated[int, Within(1)] = 64
    """Step this many environments together, N."""
    episode_length: Annotated[int, Within(1)] = 1000
    """Episodes are truncated, not terminated, after this many environment steps, L."""
    action_repeat: Annotated[int, Within(1)] = 1
    """Each action is repeated for this many steps of the physics."""
    reset_interval: Annotated[int, Within(0)] = 0
    """First states of episodes are made every so many steps, at most an episode, and kept; 0: whenever one ends."""
    domain_randomization: bool = False
    """Episodes of training, not of evaluation, draw the robot's physics anew, by the randomiser that it comes with."""
    env_kwargs: str = "{}"
    """Whatever makes the environment gets these arguments, as JSON: '{"gravity": 5.0}'; in Python a mapping."""

    def __post_init__(self):
        """One spelling for equal arguments: text is what a frozen config can hold, hash and write.

        Raises: ConfigError: not a JSON object.
        """
        given: Any = self.env_kwargs
        try:
            read = json.loads(given) if isinstance(given, str) else dict(given)
            if not isinstance(read, dict):
                raise TypeError(f"it is a {type(read).__name__}")
            object.__setattr__(self, "env_kwargs", json.dumps(read, sort_keys=True, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f'env_kwargs must be arguments by name, in JSON such as {{"gravity": 5.0}}; got {given!r} ({error})'
            ) from None

    @property
    def kwargs(self) -> dict[str, Any]:
        """`env_kwargs` as a dictionary."""
        return json.loads(self.env_kwargs)
