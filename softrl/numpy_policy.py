"""A policy file, and the policy in NumPy: what acts on a robot, in an actor's process or on the host, without JAX.

A policy file is safetensors. Its metadata has `format` and `spec`, the JSON of `PolicySpec`; its arrays are

    policy/Dense_0/kernel [I, H], policy/Dense_0/bias [H], policy/LayerNorm_0/scale [H], policy/BatchNorm_0/mean [H], …
                                                     of the layers, by the names of `softrl.layers.shapes`; those of a
                                                     residual block are policy/Residual_0/Dense_0/kernel, …
    statistics/mean/NAME, statistics/variance/NAME   with a normaliser, of each observation that the actor sees; a bare
                                                     array has no /NAME
    action/low [A], action/high [A]                  of continuous actions, as they leave

All are float32, or float16, whose numbers are widened as the file is read: a policy computes in float32. The header
says which. Files of the format before, softrl-policy-1, are read too. Imports NumPy; for files also safetensors.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softrl import layers as network_layers
from softrl import numpy_network
from softrl.errors import TensorError
from softrl.layers import Layers, Normalizer
from softrl.numpy_network import Categorical, Head, Sampler, Scalar, TanhGaussian

FORMAT = "softrl-policy-2"

_HEADS = {"tanh_gaussian": TanhGaussian, "categorical": Categorical, "sampler": Sampler, "scalar": Scalar}


class Input(NamedTuple):
    """An observation that the actor sees. path: its keys, `("state", "arm")` for `obs["state"]["arm"]`, `()` for a bare
    array."""

    path: tuple[str | int, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """`state/arm`; a bare array is called `obs`."""
        return "/".join(map(str, self.path)) or "obs"

    @property
    def moments(self) -> tuple[str, str]:
        """Under which names a policy keeps its mean and variance."""
        of = f"/{self.name}" if self.path else ""
        return f"statistics/mean{of}", f"statistics/variance{of}"


class PolicySpec(NamedTuple):
    """How a policy's arrays are to be read.

    inputs: the observations, in the order in which they are joined. normalizer: of observations, None without.
    """

    inputs: tuple[Input, ...]
    layers: Layers
    head: Head
    normalizer: Normalizer | None


@dataclass(frozen=True, eq=False)
class NumpyPolicy:
    """A policy that acts by NumPy alone. version: gradient updates behind it, 0 where nobody counted."""

    spec: PolicySpec
    arrays: dict[str, np.ndarray]
    version: int = 0

    @classmethod
    def load(cls, source: bytes | str | Path) -> "NumpyPolicy":
        """A policy from a policy file or its bytes.

        Raises: TensorError where it is none.
        """
        return decode(source if isinstance(source, bytes) else Path(source).read_bytes())

    def __call__(self, obs: Any, rng: np.random.Generator | None = None) -> np.ndarray:
        """Actions for one observation or a batch `[B, ...]`, nested as the policy's inputs are.

        Args: `rng`: to sample; without it the mode.
        Returns: `[A]` or `[B, A]`, float32, between the policy's `action/low` and `action/high`; of a discrete policy
          `[]` or `[B]`, int32.
        Raises: TensorError naming an observation that is missing or has another shape.
        """
        parts, single = observed(self.spec.inputs, obs)
        noise = None if rng is None else self.draw_noise(rng, len(parts[0]))
        actions = self.scaled(self.spec.head.act(self.outputs(parts, noise), noise))
        return actions[0] if single else actions

    def act(self, obs: Any, noise: np.ndarray | None = None) -> np.ndarray:
        """Actions in (−1, 1) `[B, A]`, or discrete ones `[B]`, for observations `[B, ...]` that nobody checks.

        Args: `noise`: of `draw_noise`; None: the mode.
        """
        parts = [at(obs, entry.path) for entry in self.spec.inputs]
        return self.spec.head.act(self.outputs(parts, noise), noise)

    def draw_noise(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """What `act` samples by, float32: standard normal `[*lead, A]`, of a discrete policy Gumbel `[*lead, n]`."""
        return self.spec.head.noise(rng, *lead)

    def explore(self, rng: np.random.Generator, *lead: int) -> np.ndarray:
        """Actions before anything was learned: uniform on (−1, 1), `[*lead, A]`; or any of n, `[*lead]`."""
        return self.spec.head.explore(rng, *lead)

    def scaled(self, actions: Any) -> Any:
        """Actions in (−1, 1) `[B, A]`, of NumPy or JAX, in the robot's own bounds; discrete ones as they are."""
        if not isinstance(self.spec.head, TanhGaussian | Sampler):
            return actions
        low, high = self.arrays["action/low"][None], self.arrays["action/high"][None]
        return 0.5 * (low + high) + 0.5 * (high - low) * actions

    def outputs(self, parts: list[np.ndarray], noise: np.ndarray | None = None) -> np.ndarray:
        """What the layers make of the inputs, `[B, ...]` each: `[B, O]`, as the head says.

        Args: `noise`: of `draw_noise`, which some heads let the layers take, too; None: zeros.
        """
        joined = []
        for x, moments in zip(parts, self.moments, strict=True):
            if moments is not None:
                x, clip = (x - moments[0]) / moments[1], self.spec.normalizer.clip
                x = np.clip(x, -clip, clip)
            joined.append(x.reshape(len(x), -1).astype(np.float32, copy=False))
        if count := self.spec.head.noise_inputs:
            joined.append(np.zeros((len(joined[0]), count), np.float32) if noise is None else noise)
        return numpy_network.run(self._steps, joined[0] if len(joined) == 1 else np.concatenate(joined, axis=-1))

    @cached_property
    def moments(self) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Mean and standard deviation by which each input is normalised; None without a normaliser."""
        if self.spec.normalizer is None:
            return [None] * len(self.spec.inputs)
        pairs = [tuple(self.arrays[name] for name in entry.moments) for entry in self.spec.inputs]
        return [(mean, np.sqrt(variance + np.float32(self.spec.normalizer.epsilon))) for mean, variance in pairs]

    @cached_property
    def _steps(self) -> list[numpy_network.Step]:
        return numpy_network.steps(self.spec.layers, self.arrays, "policy/")


def encode(policy: NumpyPolicy, **about: str) -> bytes:
    """The policy file of a policy; `about`: more metadata, for example the environment's name."""
    from softrl import tensors  # who only acts needs no safetensors

    spec = policy.spec
    name = next(name for name, kind in _HEADS.items() if isinstance(spec.head, kind))
    fields = {
        "inputs": spec.inputs,
        "layers": network_layers.to_json(spec.layers),
        "head": {"name": name} | spec.head._asdict(),
        "normalizer": None if spec.normalizer is None else spec.normalizer._asdict(),
    }
    metadata = {"format": FORMAT, "spec": json.dumps(fields), "version": str(policy.version)}
    return tensors.encode(policy.arrays, about | metadata)


def decode(data: bytes) -> NumpyPolicy:
    """The policy that `encode` wrote, every array of it of the shape that its spec asks for.

    Raises: TensorError saying what is wrong.
    """
    from softrl import tensors

    arrays, metadata = tensors.decode(data)
    if metadata.get("format") not in _READ:
        raise TensorError(f"expected a policy file of format {FORMAT!r}, got {metadata.get('format')!r}")
    arrays = {name: x.astype(np.float32) if x.dtype == np.float16 else x for name, x in arrays.items()}
    try:
        spec, arrays = _READ[metadata["format"]](json.loads(metadata["spec"]), arrays)
        expected, version = shapes(spec), int(metadata.get("version", "0"))
    except _DAMAGE:
        raise TensorError(_DAMAGED) from None
    for name in expected.keys() | arrays.keys():
        got = (arrays[name].shape, arrays[name].dtype.name) if name in arrays else "nothing"
        if got != (expected.get(name), "float32"):
            raise TensorError(f"policy file, {name}: expected float32 of shape {expected.get(name)}, got {got}")
    return _tried(NumpyPolicy(spec, arrays, version))


def shapes(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """The shape of every array that a policy with this spec has, by name.

    Raises: ValueError for layers that do not end in what the head needs.
    """
    size = sum(math.prod(entry.shape) for entry in spec.inputs) + spec.head.noise_inputs
    weights, out = network_layers.shapes(spec.layers, size)
    known = {f"policy/{name}": shape for name, shape in weights.items()}
    if out != spec.head.outputs:
        raise ValueError(f"the layers end in {out} numbers, the head needs {spec.head.outputs}")
    if spec.normalizer is not None:
        known |= {name: entry.shape for entry in spec.inputs for name in entry.moments}
    if isinstance(spec.head, TanhGaussian | Sampler):
        known |= {"action/low": (spec.head.size,), "action/high": (spec.head.size,)}
    return known


def _tried(policy: NumpyPolicy) -> NumpyPolicy:
    """The policy, once it has acted: on a robot that would be too late to find out that it cannot."""
    sizes = [math.prod(entry.shape) for entry in policy.spec.inputs]
    try:
        # Before anything is allocated as large as a damaged spec says.
        if sum(sizes) > sum(array.size for array in policy.arrays.values()):
            raise ValueError("observations that no layer reads")
        blank = [np.zeros((1, *entry.shape), np.float32) for entry in policy.spec.inputs]
        with np.errstate(all="ignore"):
            noise = policy.draw_noise(np.random.default_rng(0), 1)
            policy.spec.head.act(policy.outputs(blank, noise), noise)
    except _DAMAGE:
        raise TensorError(_DAMAGED) from None
    return policy


def _read_2(fields: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[PolicySpec, dict[str, np.ndarray]]:
    inputs = tuple(Input(tuple(path), tuple(map(int, shape))) for path, shape in fields["inputs"])
    about = dict(fields["head"])
    head = _HEADS[about.pop("name")](**about)
    normalizer = None if fields["normalizer"] is None else Normalizer(**fields["normalizer"])
    return PolicySpec(inputs, network_layers.from_json(fields["layers"]), head, normalizer), arrays


def _read_1(fields: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[PolicySpec, dict[str, np.ndarray]]:
    """The first format: always a perceptron with a tanh-Gaussian, and statistics also where nothing was normalised."""
    if fields["depth"] >= len(arrays):  # before anything is built as large as a damaged spec says
        raise ValueError("more layers than arrays")
    norm = [["LayerNorm", fields["layer_norm_epsilon"]]] if fields["layer_norm"] else []
    hidden = [["Dense", fields["width"]], *norm, ["Activation", fields["activation"]]] * fields["depth"]
    head = {name: fields[name] for name in ("log_std_min", "log_std_max")} | {"size": fields["action_size"]}
    newer = {
        "inputs": [(name.split("/") if fields["nested"] else (), shape) for name, shape in fields["inputs"]],
        "layers": [*hidden, ["Dense", 2 * fields["action_size"]]],
        "head": {"name": "tanh_gaussian"} | head,
        "normalizer": {name: fields[name] for name in ("epsilon", "clip")} if fields["normalize_obs"] else None,
    }
    kept = {name: x for name, x in arrays.items() if fields["normalize_obs"] or not name.startswith("statistics/")}
    return _read_2(newer, kept)


_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_DAMAGED = "the policy file's spec is damaged, or written by another version"
_READ = {FORMAT: _read_2, "softrl-policy-1": _read_1}


def observed(inputs: Sequence[Input], obs: Any) -> tuple[list[np.ndarray], bool]:
    """The observations as `[B, ...]` float32 each, and whether `obs` was a single one.

    Raises: TensorError naming an observation that is missing or has another shape.
    """
    parts, batches = [], set()
    for entry in inputs:
        said, shape = f"observation {entry.name}" if entry.path else "obs", entry.shape
        try:
            given = at(obs, entry.path)
        except (KeyError, IndexError, TypeError):
            entries = ", ".join(map(str, obs)) if isinstance(obs, Mapping) else ""
            got = f"one with {entries}" if entries else f"a {type(obs).__name__}"
            raise TensorError(f"{said}: expected a dictionary that has it, got {got}") from None
        try:
            x = np.asarray(given, np.float32)
        except (ValueError, TypeError):
            got = f"a {type(given).__name__} that is no array of numbers"
            raise TensorError(f"{said} must be {list(shape)} or a batch of it, got {got}") from None
        batch = x.shape[: x.ndim - len(shape)]
        batches.add(batch)
        if x.shape[x.ndim - len(shape) :] != shape or len(batch) > 1:
            raise TensorError(f"{said} must be {list(shape)} or a batch of it, got {list(x.shape)}")
        if len(batches) > 1:
            raise TensorError(f"{said}: expected a single one or as many rows as before it, got {list(x.shape)}")
        parts.append(x.reshape(-1, *shape))
    return parts, not batch


def at(obs: Any, path: tuple[str | int, ...]) -> Any:
    """The entry of an observation at a path."""
    for key in path:
        obs = obs[key]
    return obs


def nested(values: Mapping[tuple[str | int, ...], Any]) -> Any:
    """Values by their paths, as (nested) dictionaries: what `at` reads. The value itself for the path `()`.

    Raises: TensorError where a path leads to or through another's value.
    """
    tree: dict[str | int, Any] = {}
    for path, value in values.items():
        if not path:
            return value
        place: Any = tree
        for part in path[:-1]:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or path[-1] in place:
            raise TensorError(f"{'/'.join(map(str, path))}: expected one tensor or a group of that name, got both")
        place[path[-1]] = value
    return tree
