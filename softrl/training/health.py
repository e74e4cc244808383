"""Failure is a value: a member that diverges is frozen and says so; its siblings do not notice."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.clock import Counter

PATIENCE = 10
"""Non-finite updates in a row after which a member is frozen."""

MESSAGES = {0: "learning", 1: "frozen: loss or gradient was not finite {patience} updates in a row"}


class Health(NamedTuple):
    """How a member fares; all `[]`.

    code: a key of `MESSAGES`. streak: non-finite updates in a row. skipped: in all. frozen_at: update at which the
    member froze. quarantined: rows of physics with non-finite numbers.
    """

    code: jax.Array
    streak: jax.Array
    skipped: jax.Array
    frozen_at: Counter
    quarantined: jax.Array

    @staticmethod
    def good() -> "Health":
        """A member with no failures."""
        return Health(jnp.int32(0), jnp.int32(0), jnp.uint32(0), Counter.of(0), jnp.uint32(0))

    @property
    def frozen(self) -> jax.Array:
        """Whether the member has stopped learning."""
        return self.code != 0


def after_update(health: Health, finite: jax.Array, update: Counter) -> Health:
    """Counts one update; the `PATIENCE`-th non-finite one in a row freezes."""
    streak = jnp.where(finite, 0, health.streak + 1)
    freezes = (streak >= PATIENCE) & ~health.frozen
    return health._replace(
        code=jnp.where(freezes, 1, health.code),
        streak=streak,
        skipped=health.skipped + (~finite).astype(jnp.uint32),
        frozen_at=jax.tree.map(lambda now, then: jnp.where(freezes, now, then), update, health.frozen_at),
    )


def message(code: int) -> str:
    """A sentence for a health code."""
    return MESSAGES[code].format(patience=PATIENCE)
