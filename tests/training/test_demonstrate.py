"""Demonstrations are what the policy does, in whole episodes, and come back from their file as they were."""

import jax
import numpy as np
import pytest

import softrl
from softrl import cli
from softrl.experience import demonstrations
from softrl.types import Continuous, Discrete, Spec, Transition
from tests import tiny
from tests.test_contracts import WORLDS

pytestmark = pytest.mark.usefixtures("compiled_once")

WHOLE = {"episode_length": 12, "steps": 256, "learning_starts": 10_000}


def recorded(run: softrl.Run, path, episodes: int) -> tuple[demonstrations.Rows, dict[str, np.ndarray]]:
    run.demonstrate(path, episodes=episodes)
    with np.load(path) as file:
        return demonstrations.read(path, run.assembled.program.env.spec), {name: file[name] for name in file.files}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Continuous, Discrete])
def test_a_failing_environment_leaves_only_its_good_rows_and_the_others_their_whole_episodes(kind, tmp_path):
    run = softrl.train(tiny.config(env=WORLDS[kind], **WHOLE), progress=False)
    rows, arrays = recorded(run, tmp_path / "shown.npz", episodes=6)
    ends = arrays["terminals"] | arrays["timeouts"]
    assert ends.sum() == 5 and len(ends) >= 12 + 4, "environment 3 fails at its fifth step, and has no end"
    begins = np.flatnonzero(ends[:-1]) + 1
    inside = np.setdiff1d(np.arange(1, len(ends)), begins)
    follows = np.isclose(rows.obs[inside], rows.next_obs[inside - 1], atol=1e-6).all(-1)  # XLA may round twice
    assert (~follows).sum() <= 1, "only behind the failure does a row follow another episode's"
    assert rows.action.dtype == run.assembled.program.env.spec.action.dtype


@pytest.mark.slow
def test_actions_are_written_within_the_robots_bounds_and_read_within_ours(tmp_path, capsys):
    host = {"env": "gym/Pendulum-v1", "backend": "sync", "num_envs": 1, "chunk_steps": 64, "eval_episodes": 1}
    softrl.train(tiny.config(**host, **WHOLE), out=tmp_path / "run", progress=False)
    with pytest.raises(SystemExit) as done:
        cli.main(["demonstrate", str(tmp_path / "run"), "--episodes", "3"])
    assert done.value.code == 0
    path = capsys.readouterr().out.strip()
    spec = softrl.load(tmp_path / "run").assembled.program.env.spec
    rows = demonstrations.read(path, spec)
    with np.load(path) as file:
        np.testing.assert_allclose(file["actions"], 2.0 * rows.action, atol=1e-6)
        assert file["timeouts"].reshape(3, 12).sum(1).tolist() == [1, 1, 1] and not file["terminals"].any()
        assert (file["rewards"] < 0).all()
    jax.tree.map(lambda x: np.testing.assert_array_equal(len(x), 36), rows)


def rows_of(obs) -> Transition:
    """Three episodes of four steps with these observations."""
    flags = np.zeros((4, 3), bool)
    return Transition(obs, np.zeros((4, 3, 1), np.float32), np.zeros((4, 3), np.float32), flags, flags, obs, ~flags)


def test_nested_observations_come_back_and_what_a_file_cannot_name_is_refused(tmp_path):
    parts = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    nested = {"arm": {"angle": parts}, "goal": parts + 100.0}
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), nested)
    spec = Spec(shapes, Continuous(1))
    demonstrations.write(tmp_path / "shown.npz", rows_of(nested), spec)
    rows = demonstrations.read(tmp_path / "shown.npz", spec)
    assert tiny.same_bits(rows.obs, jax.tree.map(lambda x: np.swapaxes(x, 0, 1).reshape(12, 2), nested))
    with pytest.raises(softrl.ConfigError, match=r"observations .*tuple"):
        demonstrations.write(tmp_path / "pair.npz", rows_of((parts, parts)), spec)
    assert [path.name for path in tmp_path.iterdir()] == ["shown.npz"]
