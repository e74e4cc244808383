"""What a learner has learnt leaves its directory: as a file that acts alone, or with one line on what cannot be."""

import json

import numpy as np
import onnx
import pytest

import softrl
from softrl import cli, numpy_policy
from softrl.envs import boxes
from softrl.export import check
from softrl.learner import saved
from softrl.numpy_policy import NumpyPolicy
from tests.learner.small import OBS, config, rows
from tests.refused import explained

pytestmark = pytest.mark.usefixtures("compiled_once")

BOUNDED = softrl.Continuous(2, (-2.0, 0.0), (2.0, 0.5))
OBSERVED = rows(5, seed=9)["obs"]


def bounded_rows(count: int) -> dict:
    """A good batch, its actions within the robot's own bounds."""
    given = rows(count)
    return given | {"action": boxes.own(BOUNDED, given["action"])}


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A learner that has learnt and was saved, and still holds its directory."""
    directory = tmp_path_factory.mktemp("taught")
    with softrl.Learner(config(), np.zeros(OBS, np.float32), BOUNDED, replay_capacity=64, dir=directory) as learner:
        learner.add(bounded_rows(32))
        learner.step(3)
        learner.save()
        yield learner, directory


def exported(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["export", *arguments])
    return left.value.code


def test_a_directory_of_a_learner_at_work_gives_a_file_that_acts_as_it_does(taught):
    learner, directory = taught
    assert exported([str(directory), "--format", "safetensors"]) == 0
    policy = NumpyPolicy.load(directory / "policy.safetensors")
    assert policy.version == learner.version == 3
    np.testing.assert_allclose(policy(OBSERVED), learner.act(OBSERVED, deterministic=True), atol=check.LIMIT)


@pytest.mark.parametrize("format", ["onnx", "stablehlo", "safetensors"])
def test_a_learner_exports_what_it_is_now(taught, tmp_path, format):
    learner, _ = taught
    done = learner.export(tmp_path / "policy", format)
    assert done.path == tmp_path / "policy" and done.difference <= check.LIMIT
    if format == "onnx":
        props = {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}
        assert props["version"] == "3"


def test_a_published_policy_is_enough_to_act_and_to_write_a_file(taught):
    learner, _ = taught
    published = learner.policy()
    policy = NumpyPolicy(published.spec, published.arrays, published.version)
    np.testing.assert_array_equal(policy(OBSERVED), learner.actor()(OBSERVED))
    again = numpy_policy.decode(numpy_policy.encode(policy))
    np.testing.assert_array_equal(again(OBSERVED), policy(OBSERVED))
    assert again.version == 3


def test_a_learner_that_is_made_again_keeps_the_bounds_of_its_actions(taught, tmp_path):
    learner, _ = taught
    learner.save_copy(tmp_path)
    with softrl.Learner.load(tmp_path) as again:
        np.testing.assert_array_equal(again.actor()(OBSERVED), learner.actor()(OBSERVED))
    # A directory of an older version has none of them; the learner that is asked for brings its own.
    about = json.loads((tmp_path / "config.json").read_text())
    about["action"] = {"size": 2}
    (tmp_path / "config.json").write_text(json.dumps(about))
    with softrl.Learner(config(), np.zeros(OBS, np.float32), BOUNDED, replay_capacity=64, dir=tmp_path) as again:
        assert again.version == 3


@pytest.mark.parametrize(
    "command", [["eval"], ["render"], ["report"], ["train", "probe/death", "--out"], ["train", "--out"]], ids=" ".join
)
def test_what_needs_an_environment_says_so_in_one_line(taught, command, tmp_path, capsys):
    taught[0].save_copy(tmp_path)
    explained([*command, str(tmp_path)], [str(tmp_path), "holds a learner", "softrl export"], capsys)


def test_a_learners_directory_is_no_run_and_has_no_members(taught):
    _, directory = taught
    with pytest.raises(softrl.CheckpointError, match=r"softrl\.Learner\.load"):
        softrl.load(directory)
    with pytest.raises(softrl.ConfigError, match="one policy"):
        cli.cli_serve.export([str(directory), "--member", "0"])


def test_a_learner_that_was_never_saved_has_no_policy_to_give(taught, tmp_path):
    _, directory = taught
    (tmp_path / "config.json").write_bytes((directory / "config.json").read_bytes())
    with pytest.raises(softrl.CheckpointError, match="never saved"):
        saved.newest(tmp_path)


def test_a_runs_directory_is_refused_as_a_learners(tmp_path):
    (tmp_path / "config.json").write_text('{"config": {}}')
    with pytest.raises(softrl.CheckpointError, match="holds no learner"):
        softrl.Learner(config(), np.zeros(OBS, np.float32), 2, replay_capacity=64, dir=tmp_path)
