"""Layers as data: how their parameters are called, and what a file can say of them."""

import json

import pytest

from softrl import layers
from softrl.layers import Activation, Dense, LayerNorm, perceptron

MIXED = (LayerNorm(1e-3), Dense(8, 0.5), Activation("elu"), Dense(4), LayerNorm())


def test_parameters_are_counted_by_kind_and_have_the_size_of_what_enters_them():
    assert [name for name, _ in layers.named(perceptron([3, 3], 1, layer_norm=True))] == [
        *("Dense_0", "LayerNorm_0", "Activation_0"),
        *("Dense_1", "LayerNorm_1", "Activation_1"),
        "Dense_2",
    ]
    known, size = layers.shapes(MIXED, 5)
    assert size == 4
    assert known == {
        **{"LayerNorm_0/scale": (5,), "LayerNorm_0/bias": (5,)},
        **{"Dense_0/kernel": (5, 8), "Dense_0/bias": (8,)},
        **{"Dense_1/kernel": (8, 4), "Dense_1/bias": (4,)},
        **{"LayerNorm_1/scale": (4,), "LayerNorm_1/bias": (4,)},
    }


def test_what_is_written_of_a_network_is_read_again_with_the_kinds_it_had():
    read = layers.from_json(json.loads(json.dumps(layers.to_json(MIXED))))
    # Tuples of one number each are equal, whatever they are called.
    assert read == MIXED and list(map(type, read)) == list(map(type, MIXED))


@pytest.mark.parametrize(
    "damaged", [[["Dense"]], [["Dense", 4, 1.0, 2]], [["Convolution", 4]], [[]], {"Dense": 4}, None]
)
def test_a_damaged_description_is_no_network(damaged):
    with pytest.raises((ValueError, TypeError, KeyError)):
        layers.from_json(damaged)
