"""Sweeps as Slurm jobs, with submitit's own stand-in for Slurm: processes of this machine."""

import threading

import pytest

from softrl.cli_sweep import SweepOptions, launcher_options
from softrl.errors import ConfigError
from softrl.sweep import driver, slurm
from softrl.training.signals import Request
from tests.sweep import wild


def launched(tmp_path, **options):
    where = tmp_path / "groups" / "g0" / "b0"
    slurm.launch([where], lambda where, what: None, Request(), lambda event: None, options)


def test_without_submitit_or_slurm_the_error_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="no submitit: pip install -e .[slurm]")
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"no Slurm here.*login node"):
        launched(tmp_path)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'softrl\[slurm\]'"):
        launched(tmp_path)


def test_an_unknown_parameter_is_named(tmp_path):
    pytest.importorskip("submitit", reason="no submitit: pip install -e .[slurm]")
    with pytest.raises(ConfigError, match="slurm_partitoin"):
        launched(tmp_path, cluster="local", parameters={"slurm_partitoin": "long"})


def test_the_command_line_speaks_each_launchers_words():
    words = ("timeout_min=60", "slurm_partition=long", "cluster=local")
    asked = launcher_options(SweepOptions("spec.toml", launcher="slurm", cpus=2, slurm=words))
    assert asked == {
        "cpus_per_task": 2, "timeout_min": 60, "cluster": "local", "parameters": {"slurm_partition": "long"}
    }  # fmt: skip
    asked = launcher_options(SweepOptions("spec.toml", launcher="ray", gpus=0.5, address="auto"))
    assert asked == {"gpus": 0.5, "address": "auto"}
    assert launcher_options(SweepOptions("spec.toml")) == {}
    with pytest.raises(ConfigError, match="--launcher local does not take --address"):
        launcher_options(SweepOptions("spec.toml", address="auto"))
    with pytest.raises(ConfigError, match="NAME=VALUE, got 'long'"):
        launcher_options(SweepOptions("spec.toml", launcher="slurm", slurm=("long",)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what submitit warns of is not ours
def test_a_killed_job_is_submitted_again_and_the_table_is_the_calm_ones(tmp_path):
    pytest.importorskip("submitit", reason="no submitit: pip install -e .[slurm]")
    calm = driver.run(wild.WORDS, tmp_path / "calm", per_batch=4)
    lost, done = [], {}

    def sweep():
        options = {"cluster": "local", "most": 1}
        listen = lambda event: lost.append(event) if event["event"] == "lost" else None
        done["run"] = driver.run(
            wild.WORDS, tmp_path / "wild", per_batch=4, launcher="slurm", options=options, listener=listen
        )

    thread = threading.Thread(target=sweep)
    thread.start()
    killed = 0
    while thread.is_alive() and not killed:
        if wild.begun(tmp_path / "wild"):
            killed = wild.kill_child(lambda words: "submitit.core._submit" in words)
        thread.join(0.02)
    thread.join()
    assert killed and len(lost) == 1, lost
    assert wild.table(tmp_path / "wild") == wild.table(tmp_path / "calm") and done["run"].results == calm.results
    assert wild.lines(tmp_path / "wild") == wild.lines(tmp_path / "calm"), "each member and evaluation exactly once"
