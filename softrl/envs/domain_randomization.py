"""Domain randomisation: physics that are drawn anew for every episode (Tobin et al. 2017, arXiv 1703.06907)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from softrl.envs.source import spelled
from softrl.errors import ConfigError

Randomize = Callable[[jax.Array, Any], Any]
"""`(key, model) -> model` for one environment and episode."""

OWN = True
"""In place of a `Randomize`: the one that comes with the environment."""

PURPOSE = 0x646F6D61
"""Far from 0, 1, 2, …: with those `fold_in` gives the very keys into which a reset splits the episode's own."""


class OfMany(NamedTuple):
    """A `Randomize` by a function that draws many models at once, as Brax's and MuJoCo Playground's do.

    function: `(model, keys [N, 2]) -> (models, in_axes)`, where `in_axes` has the axis of N for each part of the model
    that it redraws, and None for the others.
    """

    function: Callable[[Any, jax.Array], tuple[Any, Any]]

    def __call__(self, key: jax.Array, model: Any) -> Any:
        """One model. Raises: ConfigError: the function is not of that form."""
        drawn = self.function(model, jax.random.key_data(key)[None])
        if not isinstance(drawn, tuple) or len(drawn) != 2:
            raise ConfigError(
                f"{spelled(self.function)} must be `(model, keys) -> (models, in_axes)`, as Brax's randomization_fn; "
                "one of a single environment, `(key, model) -> model`, is `randomize=` of softrl.train"
            )
        models, axes = drawn
        return jax.tree.map(_first, axes, models, is_leaf=lambda axis: axis is None)


def _first(axis: int | None, part: Any) -> Any:
    return part if axis is None else jax.tree.map(lambda x: x.take(0, axis), part)


def named(randomize: Randomize) -> str:
    """What a run writes down of a randomiser, so as to refuse another one."""
    return spelled(randomize.function if isinstance(randomize, OfMany) else randomize)


def draws(randomize: Randomize, model: Any) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """`key -> what is redrawn of the model`, by the names of its leaves: all that an episode must keep of its model.

    Traced once, however many programs draw: a randomiser may load meshes. Args: `model`: as shipped.
    """
    return jax.jit(partial(_drawn, randomize, model))


def _drawn(randomize: Randomize, model: Any, key: jax.Array) -> dict[str, jax.Array]:
    # A copy of the dictionaries and such that hold the leaves, should it write into them.
    new = randomize(jax.random.fold_in(key, PURPOSE), jax.tree.map(lambda x: x, model))
    if jax.tree.structure(new) != jax.tree.structure(model):
        raise ConfigError(
            f"{named(randomize)} must return the model that it is given with other numbers in it, got a "
            f"{spelled(type(new))} of another structure"
        )
    pairs = zip(jax.tree.leaves_with_path(model), jax.tree.leaves(new), strict=True)
    return {_name(path): leaf for (path, old), leaf in pairs if leaf is not old}


def redrawn(model: Any, drawn: dict[str, jax.Array]) -> Any:
    """The model with what `draws` has drawn in its place."""
    return jax.tree.map_with_path(lambda path, leaf: drawn.get(_name(path), leaf), model)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
