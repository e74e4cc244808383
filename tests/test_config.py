"""Settings: found by plain name, of their type, in their range, written and read without loss."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import softrl
from softrl.agents import ALGORITHMS
from softrl.config import Was, Within, change, checked, flat, from_json, to_json, today
from softrl.errors import ConfigError
from softrl.training.config import Config, read


@dataclass(frozen=True)
class Inner:
    rate: Annotated[float, Within(0.0, 1.0, above=True)] = 0.5
    size: Annotated[int, Within(1)] = 4
    limit: float = math.inf
    goal: float | None = None


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    kind: Literal["a", "b"] = "a"
    flag: bool = False
    name: str = "x"
    sizes: tuple[int, ...] = (1, 2)


def names(config) -> list[str]:
    """The names of a config's own fields and of those of its parts."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return [
        name
        for field, value in values.items()
        for name in (names(value) if dataclasses.is_dataclass(value) else [field])
    ]


def test_a_name_in_place_of_a_config_is_refused_with_what_makes_one():
    for call in (softrl.train, lambda name: softrl.change(name, gamma=0.9)):
        with pytest.raises(softrl.ConfigError, match=r"takes a config, such as softrl.preset\('brax/ant'\) gives"):
            call("brax/ant")


def test_a_field_is_found_by_its_plain_name_in_whatever_part_it_lives():
    assert change(Outer(), rate=0.25, kind="b") == Outer(Inner(rate=0.25), kind="b")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"rat": 0.5}, ["'rat'", "did you mean 'rate'"]),
        ({"rate": 0.0}, ["rate", "(0, 1]", "0.0"]),
        ({"rate": math.nan}, ["rate", "nan"]),
        ({"rate": "0.5"}, ["rate", "a number", "'0.5'"]),
        ({"rate": True}, ["rate", "a number", "True"]),
        ({"size": 0}, ["size", "[1, inf]"]),
        ({"size": 2.5}, ["size", "a whole number", "2.5"]),
        ({"size": True}, ["size", "a whole number"]),
        ({"kind": "c"}, ["kind", "'a', 'b'", "'c'"]),
        ({"flag": 1}, ["flag", "true or false"]),
        ({"name": 3}, ["name", "text"]),
        ({"sizes": [1]}, ["sizes", "a tuple of a whole number"]),
        ({"sizes": (1.5,)}, ["sizes"]),
        ({"goal": "far"}, ["goal", "a number or None"]),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_name_value_and_range(changes, words):
    with pytest.raises(ConfigError) as error:
        change(Outer(), **changes)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_change_leaves_the_config_that_it_started_from_alone():
    config = Outer()
    change(config, rate=0.25)
    assert config == Outer()


@pytest.mark.parametrize(
    "bounds, inside, outside",
    [
        (Within(0.0, 1.0), [0.0, 1.0], [-1e-9, 1.1, math.nan]),
        (Within(0.0, 1.0, above=True, below=True), [0.5], [0.0, 1.0]),
        (Within(1), [1, 10**30], [0]),
    ],
)
def test_a_bound_is_in_or_out_as_written(bounds, inside, outside):
    assert all(bounds.holds(x) for x in inside)
    assert not any(bounds.holds(x) for x in outside)


@given(
    st.floats(0.0, 1.0, exclude_min=True),
    st.integers(1, 2**62),
    st.floats(allow_nan=False),
    st.none() | st.floats(allow_nan=False),
    st.lists(st.integers()),
)
def test_a_config_that_changes_on_its_way_through_a_file_cannot_be_resumed(rate, size, limit, goal, sizes):
    config = Outer(Inner(rate, size, limit, goal), "b", True, "inf", tuple(sizes))
    text = json.dumps(to_json(config), allow_nan=False)
    assert from_json(Outer, json.loads(text)) == config


def test_a_field_of_another_version_is_named_not_ignored():
    with pytest.raises(ConfigError, match=r"Inner has no field 'rte'; did you mean 'rate'\?"):
        from_json(Outer, {"inner": {"rte": 1.0}})


@dataclass(frozen=True)
class Renamed:
    norm: Annotated[Literal["none", "layer"], Was("layer_norm", ((True, "layer"), (False, "none")))] = "layer"
    outer: Outer = field(default_factory=Outer)


def test_a_field_that_was_called_otherwise_is_read_with_what_it_then_said():
    assert from_json(Renamed, {"layer_norm": False}).norm == "none"
    assert from_json(Renamed, {"norm": "none"}).norm == "none"
    with pytest.raises(ConfigError, match="norm must be one of 'none', 'layer', got 'both'"):
        from_json(Renamed, {"layer_norm": "both"})
    with pytest.raises(ConfigError, match="no field 'layer_norm'"):
        from_json(Renamed, {"layer_norm": True, "norm": "none"})
    assert today(Renamed(), {"layer_norm": True, "rate": 0.5}) == {"norm": "layer", "rate": 0.5}
    with pytest.raises(ConfigError, match=r"unknown setting 'layer_norm'; did you mean 'norm'\?"):
        change(Renamed(), layer_norm=False)


def test_a_value_out_of_range_in_a_file_is_refused_like_one_in_a_call():
    with pytest.raises(ConfigError, match="rate"):
        from_json(Outer, {"inner": {"rate": 2.0}})


def test_two_fields_of_one_plain_name_would_be_one_flag_for_two_settings():
    for name in ALGORITHMS:
        config = Config(algorithm=name)
        assert sorted(names(config)) == sorted(flat(config))


def test_the_whole_config_survives_its_file():
    config = change(Config(), max_grad_norm=1.0, target_sigma=0.2, value_network=True)
    assert read(json.loads(json.dumps(to_json(config), allow_nan=False))) == config


def test_the_defaults_are_valid():
    checked(Config())


@pytest.mark.parametrize("name", [n for n, v in flat(Config()).items() if isinstance(v, float) or v is None])
def test_a_setting_that_is_not_a_number_would_poison_a_run_from_its_first_update(name):
    with pytest.raises(ConfigError, match=name):
        change(Config(), **{name: math.nan})


@pytest.mark.parametrize("name", [n for n, v in flat(Config()).items() if isinstance(v, (int, float))])
def test_a_number_given_as_text_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        change(Config(), **{name: "3e-4"})


def test_every_hyperparameter_is_traced_and_no_static_field_is():
    hypers = Config().hypers
    # None is not a leaf: the two ways to give the target entropy become one number when it is resolved.
    given_numbers = [value for value in flat(hypers).values() if value is not None]
    assert len(jax.tree.leaves(hypers)) == len(given_numbers)
