"""What users hear of compiling: how long it took the last time, and no alarms of XLA's."""

import os

import jax
import pytest

from softrl import cli
from softrl.reporting.progress import Progress
from softrl.reporting.show import RunWatcher
from softrl.training import compilation
from softrl.training.assemble import assemble
from tests import tiny


@pytest.fixture
def kept(tmp_path):
    """A folder of one's own for compiled programs."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)


def test_a_second_run_says_how_long_compiling_took_the_last_time(kept, capsys):
    assembled = assemble(tiny.config())
    for _ in range(2):
        with Progress.open(8, "lq") as progress:
            watcher = RunWatcher(progress)
            watcher({"event": "assembled", "assembled": assembled, "memory": "a run of 1 MiB"})
            watcher({"event": "compiled", "seconds": 157.7})
    first, _, second = capsys.readouterr().out.partition("compiled in 157.7 s")
    assert "compiling training and evaluation\n" in first
    assert "compiling training and evaluation, which took 158 s the last time\n" in second


@pytest.mark.parametrize("place", [None, "gs://bucket/programs", "/proc/nowhere"])
def test_where_nothing_can_be_noted_nothing_fails(place, kept):
    jax.config.update("jax_compilation_cache_dir", place)
    compilation.remember("sac brax/ant", 3.0)
    assert compilation.last_seconds("sac brax/ant") is None


def test_damage_to_a_note_is_no_news(kept):
    compilation.remember("sac brax/ant", 3.0)
    (note,) = (kept / "seconds").iterdir()
    note.write_text("three")
    assert compilation.last_seconds("sac brax/ant") is None


@pytest.mark.parametrize(("own", "becomes"), [(None, "3"), ("0", "0")])
def test_xla_keeps_its_alarms_to_itself_unless_somebody_asks(own, becomes, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", own or "")
    if own is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    cli.main(["--version"])
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == becomes
