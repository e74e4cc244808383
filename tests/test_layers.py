"""Layers as data: how their parameters are called, and what a file can say of them."""

import json

import pytest

from softrl import layers
from softrl.layers import Activation, BatchNorm, BatchRenorm, Dense, LayerNorm, Residual, RMSNorm, perceptron, residual

MIXED = (LayerNorm(1e-3), Dense(8, 0.5), Activation("elu"), Dense(4), LayerNorm(), RMSNorm(1e-3))
NESTED = (BatchNorm(), Residual((RMSNorm(), Dense(3), Residual(()), Dense(5))), Dense(2))


def test_parameters_are_counted_by_kind_and_have_the_size_of_what_enters_them():
    assert [name for name, _ in layers.named(perceptron([3, 3], 1, norm="layer"))] == [
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
        **{"LayerNorm_1/scale": (4,), "LayerNorm_1/bias": (4,), "RMSNorm_0/scale": (4,)},
    }


def test_arrays_of_a_block_have_its_name_before_theirs_and_running_statistics_are_told_by_theirs():
    known, size = layers.shapes(NESTED, 5)
    assert size == 2
    assert known == {
        **{f"BatchNorm_0/{part}": (5,) for part in ("scale", "bias", "mean", "var")},
        **{"Residual_0/RMSNorm_0/scale": (5,)},
        **{"Residual_0/Dense_0/kernel": (5, 3), "Residual_0/Dense_0/bias": (3,)},
        **{"Residual_0/Dense_1/kernel": (3, 5), "Residual_0/Dense_1/bias": (5,)},
        **{"Dense_0/kernel": (5, 2), "Dense_0/bias": (2,)},
    }
    assert [name for name in known if name.split("/")[-1] in layers.RUNNING] == ["BatchNorm_0/mean", "BatchNorm_0/var"]


def test_a_block_that_ends_in_another_size_than_it_began_with_cannot_add_up():
    with pytest.raises(ValueError, match="Residual_0: its layers must end in 5 numbers, as many as enter, got 1"):
        layers.shapes((Residual((Dense(1),)),), 5)


def test_blocks_normalise_what_enters_them_and_what_leaves_the_last_of_them():
    inner = (Dense(6), Activation("relu"), Dense(3))
    assert residual(3, 2, 1, expansion=2, head_scale=0.1) == (Dense(3), *[Residual(inner)] * 2, Dense(1, 0.1))
    for norm, begins, ends in (
        ("layer", LayerNorm(), LayerNorm()),
        ("rms", RMSNorm(), RMSNorm()),
        ("batch", BatchNorm(), RMSNorm()),
        ("renorm", BatchRenorm(), RMSNorm()),
    ):
        made = residual(3, 1, 1, norm=norm, expansion=2)
        assert made == (Dense(3), Residual((begins, *inner)), ends, Dense(1))


@pytest.mark.parametrize("made", [MIXED, NESTED])
def test_what_is_written_of_a_network_is_read_again_with_the_kinds_it_had(made):
    assert layers.from_json(json.loads(json.dumps(layers.to_json(made)))) == made


def test_two_kinds_of_equal_numbers_would_share_a_cached_network():
    assert LayerNorm(1e-6) != RMSNorm(1e-6) and Dense(1, 2.0) != BatchNorm(1, 2.0)


@pytest.mark.parametrize(
    "damaged",
    [
        *([["Dense"]], [["Dense", 4, 1.0, 2]], [["Convolution", 4]], [[]], {"Dense": 4}, None),
        *([["Residual"]], [["Residual", 4]], [["Residual", [], 4]], [["Residual", [["Convolution", 4]]]]),
    ],
)
def test_a_damaged_description_is_no_network(damaged):
    with pytest.raises((ValueError, TypeError, KeyError)):
        layers.from_json(damaged)
