"""What a categorical critic's target is made by: moving a distribution over atoms without losing mass or mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.distributions import atoms

COUNT, ROWS, BOUND = 21, 32, 5.0


def by_hand(probs: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atom by atom, in double precision."""
    support, gap = np.linspace(-BOUND, BOUND, COUNT), 2.0 * BOUND / (COUNT - 1)
    result, outside = np.zeros_like(probs), np.zeros(len(probs))
    for row, p in enumerate(probs):
        for mass, z in zip(p, support, strict=True):
            moved = shift[row] + scale[row] * z
            outside[row] += mass * (abs(moved) > BOUND)
            place = (np.clip(moved, -BOUND, BOUND) + BOUND) / gap
            lower = min(int(place), COUNT - 2)
            result[row, lower] += mass * (1.0 - (place - lower))
            result[row, lower + 1] += mass * (place - lower)
    return result, outside


def drawn(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.full(COUNT, 0.3), ROWS)
    scale = np.where(generator.random(ROWS) < 0.2, 0.0, generator.random(ROWS))
    return probs, spread * generator.normal(size=ROWS), scale


@pytest.fixture(scope="module")
def projected():
    return jax.jit(lambda *args: atoms.projected(*args, BOUND))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.1, 2.0, 20.0]))
def test_a_target_of_the_wrong_distribution_teaches_the_wrong_returns(projected, seed, spread):
    given_ = drawn(seed, spread)
    found = projected(*map(jnp.float32, given_))
    probs, outside = by_hand(*given_)
    # An atom's place, up to 20, is known to 1e-6 in float32, and so are the shares of its mass.
    np.testing.assert_allclose(found.probs, probs, atol=4e-6)
    np.testing.assert_allclose(found.probs.sum(-1), 1.0, atol=1e-6)
    edge = np.abs(np.abs(given_[1][:, None] + given_[2][:, None] * np.linspace(-BOUND, BOUND, COUNT)) - BOUND) < 1e-5
    clear = ~edge.any(1)  # where rounding cannot decide on which side of the last atom one is
    np.testing.assert_allclose(found.outside[clear], outside[clear], atol=1e-6)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_a_mean_that_moved_in_the_projection_would_be_a_bias_of_every_value(projected, seed):
    probs, shift, scale = drawn(seed, 0.3)
    scale = 0.9 * scale  # nothing beyond the atoms
    shift = np.clip(shift, -0.4, 0.4)
    found = projected(*map(jnp.float32, (probs, shift, scale)))
    mean = probs @ np.linspace(-BOUND, BOUND, COUNT)
    np.testing.assert_allclose(
        atoms.mean(jnp.log(jnp.maximum(found.probs, 1e-30)), BOUND), shift + scale * mean, atol=1e-5
    )
    assert not found.outside.any()


def test_an_accelerator_learns_from_the_same_targets_as_a_cpu():
    """Both ways to spread mass, whichever the device uses."""
    probs, shift, scale = (jnp.float32(x) for x in drawn(3, 2.0))
    position = (
        jnp.clip(shift[:, None] + scale[:, None] * atoms.atoms(COUNT, BOUND)[None], -BOUND, BOUND) / BOUND + 1.0
    ) * 10.0
    one, other = (jax.jit(way)(probs, position) for way in (atoms._scattered, atoms._by_distance))
    np.testing.assert_allclose(one, other, atol=2e-6)  # two roundings of a place up to 20


def test_the_terms_of_a_projection_are_never_a_batch_of_matrices_in_memory():
    """B × n × n numbers of a large batch would not fit: XLA makes each as it is added."""
    shape = jax.ShapeDtypeStruct((256, 101), jnp.float32)
    compiled = jax.jit(atoms._by_distance).lower(shape, shape).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 256 * 101 * 101  # a quarter of the float32 array
