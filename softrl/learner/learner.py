"""The learner behind plain calls: push transitions, ask for updates, take policies. For actor loops of your own."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from softrl import export as exporting
from softrl.agents.spaces import spec_of
from softrl.config import Seed, change, exclusive, flat, replaced, setting
from softrl.envs import boxes
from softrl.errors import BatchError, ConfigError, DivergedError, require_known
from softrl.experience.adapters import adapted, renamed
from softrl.experience.batches import checked_obs, checked_rows
from softrl.export import Exported
from softrl.learner import compute, files, saved
from softrl.learner.config import LearnerConfig, validated
from softrl.learner.programs import compile_learner, filled, padded, pieces
from softrl.numpy_policy import NumpyPolicy, PolicySpec
from softrl.storage import checkpoint
from softrl.training.health import message


class PublishedPolicy(NamedTuple):
    """All that acts: `NumpyPolicy(policy.spec, policy.arrays, policy.version)` does.

    version: gradient updates behind it; it only grows. arrays: flat name → NumPy array, those of a policy file (see
    `softrl.numpy_policy`); Dense kernels are `[in, out]`. spec: what to compute with them, which is plain data.
    """

    version: int
    arrays: dict[str, np.ndarray]
    spec: PolicySpec


class Learner:
    """An algorithm for an actor loop of your own.

    Every call is a transaction: it does all that it says, or raises and changes nothing. Calls may come from several
    threads; they take turns. All programs are compiled here, none later.

        learner = softrl.Learner(softrl.LearnerConfig(), env.observation_space, env.action_space, dir="runs/robot")
        action = learner.act(obs)
        learner.add({"obs": …, "action": …, "reward": …, "terminated": …, "next_obs": …})   # [B, ...] each
        metrics = learner.step(updates=1)
    """

    def __init__(
        self,
        config: LearnerConfig,
        obs_spec: Any,
        action_spec: Any,
        *,
        replay_capacity: int = 1_000_000,
        seed: int = 0,
        dir: str | Path | None = None,
        actor_obs: str | None = None,
        critic_obs: str | None = None,
    ):
        """Compiles, and goes on where the last `save` in `dir` left off if there is one.

        Args:
          config: `softrl.LearnerConfig()`, edited by `softrl.change`.
          obs_spec, action_spec, actor_obs, critic_obs: see `softrl.agents.spaces.spec_of`.
          replay_capacity: transitions kept.
          seed: of the networks, of sampling and of actions.
          dir: where `save` puts checkpoints; only one process at a time. None: nothing can be saved.
        Raises:
          ConfigError: a setting that cannot be, or another than that of the learner in `dir`.
          CheckpointError: `dir` is in use, damaged or cannot be written to.
        """
        replay_capacity, seed = setting("replay_capacity", replay_capacity, int), setting("seed", seed, Seed)
        self.config = validated(config, replay_capacity)
        self.spec = spec_of(obs_spec, action_spec, actor_obs=actor_obs, critic_obs=critic_obs)
        self._hypers = compute.numbers(self.config, self.spec)
        self.replay_capacity = replay_capacity
        self._parts = compute.parts(self.config, self.spec, replay_capacity)
        self._lock = threading.RLock()
        self._description = files.described(config, self.spec, replay_capacity, seed)
        self._files = None if dir is None else files.open_files(Path(dir), self._description)
        try:
            self._programs = compile_learner(self._parts, self._hypers)
            self._state = self._programs.init(jax.random.key(seed, impl="threefry2x32"))
            self.extra: dict[str, Any] = {}
            if self._files is not None:
                self.restore()
        except BaseException:
            self.close()
            raise

    @classmethod
    def load(cls, dir: str | Path) -> "Learner":
        """The learner that was saved in `dir`, made again from what is written there.

        Raises: CheckpointError: none is there, or as the constructor.
        """
        return cls(**files.description(Path(dir)), dir=dir)

    @property
    def version(self) -> int:
        """Gradient updates made; the version of the policy. Only grows, but for `restore`."""
        with self._lock:  # a step in another thread donates the state that is read here
            return int(self._state.clock.update)

    @property
    def stored(self) -> int:
        """Transitions ever added, demonstrations apart."""
        with self._lock:
            return int(self._state.clock.step)

    @property
    def demonstrations(self) -> int:
        """Demonstrations ever added."""
        with self._lock:
            return int(getattr(self._state.learner.replay, "added", 0))

    def add(self, transitions: Mapping[str, Any], *, demonstrations: bool = False, names: str = "softrl") -> int:
        """Stores B transitions, B ≥ 1 of any number, and moves the observation statistics by them.

        Args:
          transitions: `[B, ...]` arrays; see `softrl.experience.batches.checked_rows`.
          demonstrations: whether they go into the second buffer (`demonstration_share` > 0).
          names: whose keys they have: softrl, hil-serl, lerobot, sb3, d4rl or minari; see `softrl.experience.adapters`.
        Returns: B.
        Raises:
          BatchError: with `field`, `expected`, `got` and `rows`; nothing has changed then.
          ConfigError: demonstrations without a buffer for them, or unknown names.
        """
        if demonstrations and self._parts.demonstrations is None:
            raise ConfigError("there is no buffer for demonstrations: set demonstration_share above 0")
        ours = adapted(transitions, names)
        try:
            rows = checked_rows(self.spec, ours)
        except BatchError as error:
            raise renamed(error, names) from None
        with self._lock:
            for width, part in pieces(rows):
                store = self._programs.store[width, demonstrations]
                self._state = store(self._state, self._hypers, padded(part, width))
        return len(rows.reward)

    def step(self, updates: int = 1) -> dict[str, float]:
        """Makes gradient updates, in one compiled call however many.

        Until `learning_starts` transitions are there it makes none.
        Returns: the agent's scalars averaged over the updates (of soft actor-critic `critic_loss`, `entropy`, …),
          `updates` made now and `version`; while it makes none, instead of scalars `waiting_for`, how many more
          transitions it needs.
        Raises: ConfigError: not a whole number ≥ 1. DivergedError: learning stopped because losses became non-finite.
        """
        if isinstance(updates, bool) or not isinstance(updates, int | np.integer) or not 1 <= updates < 2**31:
            raise ConfigError(f"updates must be a whole number from 1 to 2³¹ − 1, got {updates!r}")
        with self._lock:
            missing = max(self.config.sampling.learning_starts, 1) - self.stored - self.demonstrations
            if missing > 0:
                return {"updates": 0.0, "version": float(self.version), "waiting_for": float(missing)}
            if code := int(self._state.learner.health.code):
                cure = "lower the learning rates or the rewards, or clip gradients"
                raise DivergedError(f"the learner stopped ({message(code)}): {cure}")
            self._state, scalars = self._programs.improve(self._state, self._hypers, np.int32(updates))
            metrics = dict(zip(self._programs.scalars, np.asarray(scalars).tolist(), strict=True))
            return {**metrics, "updates": float(updates), "version": float(self.version)}

    def adjust(self, **numbers: float) -> None:
        """Changes numbers such as learning rates by plain name, from the next call on; nothing is compiled again.

        They stay those of the config on disk: a learner that is made again begins with these. What is learned, as the
        temperature can be, has begun already, and stays.
        Raises: ConfigError: no number of the algorithm's or of the replay's, or out of its range.
        """
        with self._lock:
            known = [name for name, value in flat(self._hypers).items() if value is not None]
            for name in numbers:
                require_known("number", name, known)
            instead = {name: None for name, field in exclusive(self.config.hypers).items() if field in numbers}
            changed = flat(compute.numbers(change(self.config, **instead, **numbers), self.spec))
            self._hypers = replaced(self._hypers, {name: changed[name] for name in numbers})

    def act(self, obs: Any, deterministic: bool = False) -> np.ndarray:
        """Actions for one observation, `[A]`, or for a batch of them, `[B, A]`, as `add` takes them: within the bounds
        of `action_spec`, [−1, 1] where it has none.

        Args:
          obs: as `obs_spec` says; what only the critic sees may be missing.
          deterministic: the policy's mode; otherwise a draw, uniform until `learning_starts` transitions are there.
        Raises: BatchError as `add`.
        """
        checked, single = checked_obs(self.spec, obs)
        actions = []
        with self._lock:
            for width, part in pieces(checked):
                acts, action = self._programs.act[width](self._state, filled(part, width), np.bool_(deterministic))
                self._state = self._state._replace(acts=acts)
                actions.append(boxes.own(self.spec.action, np.array(action))[: len(jax.tree.leaves(part)[0])])
        return actions[0][0] if single else np.concatenate(actions)

    def policy(self) -> PublishedPolicy:
        """The present policy as plain data, copied to the host. Raises: as `actor`."""
        actor = self.actor()
        return PublishedPolicy(actor.version, actor.arrays, actor.spec)

    def actor(self) -> NumpyPolicy:
        """The present policy, copied to the host, as one that acts without JAX.

        Raises: ExportError for observations that are more than arrays in dictionaries and tuples.
        """
        return self._live().plain

    def export(self, path: str | Path, format: str | None = None) -> Exported:
        """Writes the present policy's mode as a file: onnx, stablehlo or safetensors, in the robot's own bounds.

        Args: `format`: by default what `path` ends with, or else onnx.
        Returns: the file, its size, and how far its actions are from this learner's.
        Raises: as `softrl.export.write`; nothing is written then.
        """
        return exporting.write(self._live(), path, format=format)

    def save(self, extra: Mapping[str, Any] | None = None) -> int:
        """Saves everything to `dir`, replay included, and waits for the disk; killed meanwhile, the last save stays.

        Args: `extra`: JSON of the caller's own, saved with it; after a restore it is in `.extra`.
        Returns: the version saved.
        Raises: ConfigError without `dir`. CheckpointError: the disk refused; the last save is intact.
        """
        with self._lock:
            self.extra = self._save(self._require_files(), extra)
            return self.version

    def save_copy(self, dir: str | Path, extra: Mapping[str, Any] | None = None) -> int:
        """Saves everything to another directory, where `Learner.load` finds it. Returns and raises: as `save`."""
        with self._lock:
            copy = files.open_files(Path(dir), self._description)
            try:
                self._save(copy, extra)
            finally:
                files.close(copy)
            return self.version

    def restore(self) -> int | None:
        """Goes back to the last save in `dir`, exactly. Returns: its version; None where nothing was saved yet."""
        with self._lock:
            found = checkpoint.restore(self._require_files().store.directory, self._programs.abstract)
            if found is None:
                return None
            self._state, self.extra = found.state, found.meta["extra"]
            return self.version

    def state_sha256(self) -> str:
        """A hash of all that the learner is; equal if and only if it is equal to the bit."""
        with self._lock:
            return checkpoint.state_sha256(self._state)

    def close(self) -> None:
        """Lets another process use `dir`. Saves nothing."""
        with self._lock:
            opened, self._files = self._files, None
            if opened is not None:
                files.close(opened)

    def __enter__(self) -> "Learner":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _live(self) -> exporting.Live:
        agent = self._parts.program.agent
        with self._lock:
            # A copy: on a CPU the arrays would be views of memory that the next step is given.
            policy, version = jax.tree.map(np.array, agent.policy(self._state.learner.agent)), self.version
        return saved.live(self.config, self.spec, agent, policy, version)

    def _save(self, where: files.LearnerFiles, extra: Mapping[str, Any] | None) -> dict[str, Any]:
        extra = dict(self.extra if extra is None else extra)
        files.save(where, self._state, {"version": self.version, "extra": extra})
        return extra

    def _require_files(self) -> files.LearnerFiles:
        if self._files is None:
            raise ConfigError("this learner has no directory (or was closed): give it dir=... to save and restore")
        return self._files
