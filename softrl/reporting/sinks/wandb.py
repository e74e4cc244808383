"""Weights & Biases: one W&B run for each member, a sweep's members grouped; their files go to DIR/wandb.

Project, entity, mode and everything else are W&B's own environment variables: WANDB_PROJECT, WANDB_MODE=offline, …
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError, library


class WandB:
    """Sends numbers to W&B; a `softrl.reporting.sinks.Sink`."""

    def __init__(self, directory: Path, wandb: Any):
        """`directory`: of the run or sweep; `wandb`: the module."""
        self.directory, self.wandb = Path(directory).absolute(), wandb
        self.open: dict[str, Any] = {}
        self.configs: dict[str, Mapping[str, Any]] = {}

    def begin(self, run: str, config: Mapping[str, Any]) -> None:
        """Remembers the settings; the W&B run begins with the first numbers, so that waiting members have none."""
        self.configs[run] = config

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Logs numbers at an environment step."""
        if run not in self.open:
            self.open[run] = self._begun(run)
        self.open[run].log(dict(values), step=step)

    def end(self, run: str) -> None:
        """Finishes a W&B run."""
        if run in self.open:
            self.open.pop(run).finish()

    def _begun(self, run: str) -> Any:
        name = self.directory.name
        return self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", "softrl"),
            name=f"{name}/{run}" if run else name,
            group=name if run else None,
            # The same command in the same place goes on with the same W&B run.
            id=hashlib.sha256(f"{self.directory}/{run}".encode()).hexdigest()[:16],
            resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
            dir=str(self.directory),
            config=dict(self.configs.pop(run, {})),
            reinit="create_new",
            settings=self.wandb.Settings(console="off"),
        )


def open_sink(directory: Path) -> WandB:
    """W&B runs of a run or sweep.

    Raises: ConfigError where wandb is not installed, or has no login: now, and not after hours at the first numbers.
    """
    wandb = library("wandb", "the sink wandb needs wandb", "wandb")
    if os.environ.get("WANDB_MODE") not in ("offline", "disabled", "dryrun"):
        try:
            wandb.login(verify=False)  # the server is asked later: it may be away for a while
        except wandb.errors.UsageError as error:
            raise ConfigError(f"the sink wandb: {error} Or set WANDB_MODE=offline") from error
    return WandB(directory, wandb)
