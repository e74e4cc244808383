"""`softrl serve` and `softrl export`: bad input is one clear line, exit code 2, and leaves nothing behind."""

import jax
import pytest

from softrl.errors import ConfigError
from softrl.serve.command import action_spec, obs_spec
from softrl.types import Continuous, Discrete
from tests.refused import explained

SERVE = ["serve", "--out", "run", "--obs", "3", "--actions", "2"]
BAD = [
    (["serve"], ["--out", "--obs", "--actions"]),
    ([*SERVE[:3], "--obs", "three", "--actions", "2"], ["obs must be a shape", "'three'"]),
    ([*SERVE[:3], "--obs", "3", "--actions", "0"], ["A ≥ 1"]),
    ([*SERVE[:3], "--obs", "3", "--actions", "discrete=1"], ["n ≥ 2", "discrete=1"]),
    ([*SERVE, "--address", "0.0.0.0:50051"], ["can be reached from other machines", "--token-file"]),
    ([*SERVE, "--address", "here"], ["host:port", "'here'"]),
    ([*SERVE, "--token-file", "missing"], ["missing", "No such file"]),
    ([*SERVE, "--tls-cert", "missing"], ["both files"]),
    ([*SERVE, "--updates-per-transition", "0"], ["updates_per_transition", "(0, inf]"]),
    ([*SERVE, "--save-every", "-1"], ["save_every"]),
    ([*SERVE, "--metrics-port", "70000"], ["metrics_port", "65535"]),
    ([*SERVE, "--batch-size", "0"], ["batch_size"]),
    ([*SERVE, "--gama", "0.9"], ["--gama", "--gamma"]),
    (["export", "no-such-run"], ["no-such-run", "not a run"]),
    (["export", "no-such-run", "--format", "onxx"], ["onxx", "did you mean 'onnx'"]),
]


@pytest.mark.parametrize("arguments, words", BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_explained_and_leaves_nothing_behind(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explained(arguments, words, capsys)
    assert list(tmp_path.iterdir()) == []


def test_actions_are_described_by_their_number_and_bounds():
    assert action_spec("6") == Continuous(6)
    assert action_spec("2@-2:2") == Continuous(2, (-2.0, -2.0), (2.0, 2.0))
    assert action_spec("2@-2:2,0:.5") == Continuous(2, (-2.0, 0.0), (2.0, 0.5))
    assert action_spec("1@-1e-1:1.") == Continuous(1, (-0.1,), (1.0,))
    assert action_spec("discrete=4") == Discrete(4)


@pytest.mark.parametrize(
    "text", ["", "2@", "2@1", "2@1:2:3", "3@-1:1,0:1", "discrete=4@-1:1", "2x2", "a=2", "2@a:b", "2@1.2.3:4"]
)
def test_what_is_no_action_is_refused(text):
    with pytest.raises(ConfigError, match="actions must be A ≥ 1 numbers, like 6, or with bounds"):
        action_spec(text)


def test_observations_are_described_by_their_shapes():
    assert obs_spec("17") == jax.ShapeDtypeStruct((17,), "float32")
    assert obs_spec("3x4") == jax.ShapeDtypeStruct((3, 4), "float32")
    assert {name: spec.shape for name, spec in obs_spec("state=17,privileged_state=5x2").items()} == {
        "state": (17,),
        "privileged_state": (5, 2),
    }


@pytest.mark.parametrize("text", ["", "x", "3,4", "state=17,4", "state=17,state=4", "state=", "-3", "3.5", "a b=3"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(ConfigError, match="obs must be a shape"):
        obs_spec(text)
