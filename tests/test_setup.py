"""The set-up scripts, run as a person runs them: what they refuse, in one line, and where they may be called from."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import softrl

ROOT = Path(__file__).resolve().parents[1]
UNREACHABLE = "http://127.0.0.1:9/simple"  # the discard port: nothing answers there


@pytest.fixture
def checkout(tmp_path):
    """A copy of what set-up reads, without an environment: a fresh clone with a space in its name."""
    copy = tmp_path / "fresh clone"
    copy.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    (copy / "softrl").mkdir()
    (copy / "softrl" / "__init__.py").touch()
    return copy


def fake_python(folder: Path, version: str) -> Path:
    """A program that answers every call as an interpreter of that version answers the question for its version."""
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


def run(script: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """A script's result, with pip cut off from every index and package folder of this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "SOFTRL_", "PYTHON"))}
    own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": UNREACHABLE, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run(
        [script, *arguments],
        cwd=cwd or script.parent,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def the_one_line(done: subprocess.CompletedProcess) -> str:
    """The single line of complaint of a script that failed, which is no traceback."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize("script", ["train", "test"])
def test_a_python_too_old_is_refused_in_one_line(checkout, tmp_path, script):
    old = fake_python(tmp_path, "3 8 18")
    line = the_one_line(run(checkout / "scripts" / script, PYTHON=str(old)))
    assert line == (
        f"scripts/{script}: Python 3.11 or newer is needed, but PYTHON={old} is Python 3.8.18; "
        "install a newer one, or set PYTHON to one"
    )
    assert not (checkout / ".venv").exists()


def test_python_2_is_refused_in_one_line(checkout, tmp_path):
    line = the_one_line(run(checkout / "scripts" / "train", PYTHON=str(fake_python(tmp_path, "2 7 18"))))
    assert "is Python 2.7.18" in line


def test_a_python_that_does_not_exist_is_refused_in_one_line(checkout):
    line = the_one_line(run(checkout / "scripts" / "train", PYTHON="/nowhere/python3"))
    assert "PYTHON=/nowhere/python3 is no Python that runs" in line


@pytest.mark.slow
def test_without_an_index_setup_fails_in_one_line_and_can_be_repeated(checkout, tmp_path):
    for _ in range(2):  # the second time finds the half-made environment of the first
        done = run(checkout / "scripts" / "train", cwd=tmp_path, PYTHON=sys.executable)
        line = the_one_line(done)
        assert line.startswith("scripts/train: no package index could be reached"), line
        assert str(checkout / ".cache" / "setup.log") in line
        assert not (checkout / ".venv" / "softrl-installed").exists()
        assert len(done.stdout.splitlines()) == 1, done.stdout


def test_a_python_without_ensurepip_uses_its_own_pip(checkout, tmp_path):
    debian = tmp_path / "python3"  # `python3 -m venv` fails there unless it is told to leave pip out
    refusal = f'if [ "$*" = "-m venv {checkout}/.venv" ]; then mkdir -p "$3"; exit 1; fi'
    debian.write_text(f'#!/bin/sh\n{refusal}\nexec "{sys.executable}" "$@"\n')
    debian.chmod(0o755)
    for _ in range(2):  # the second time finds the half-made environment of the first
        line = the_one_line(run(checkout / "scripts" / "train", PYTHON=str(debian)))
        assert line.startswith("scripts/train: no package index could be reached"), line
        assert str(checkout / ".cache" / "setup.log") in line
        assert not (checkout / ".venv" / "softrl-installed").exists()
    assert not list((checkout / ".venv").glob("bin/pip*"))


def stand_in(checkout: Path) -> Path:
    """An environment that is complete for the scripts: a `softrl` that repeats its arguments, and a true stamp."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    softrl = checkout / ".venv" / "bin" / "softrl"
    softrl.write_text('#!/bin/sh\nprintf "%s|" "$MUJOCO_GL" "$PWD" "$@"\n')
    softrl.chmod(0o755)
    stamp = 'venv="$root/.venv"; . "$root/scripts/setup"; fingerprint >"$venv/softrl-installed"'
    subprocess.run(["bash", "-c", stamp], check=True, env=os.environ | {"root": str(checkout)})
    return softrl


def test_an_environment_in_place_is_used_as_it_is_from_any_directory(checkout, tmp_path):
    stand_in(checkout)
    done = run(checkout / "scripts" / "train", "brax/ant", "--out", "a b", cwd=tmp_path, MUJOCO_GL="osmesa")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"osmesa|{tmp_path}|train|brax/ant|--out|a b|"


def test_train_through_a_link_finds_its_repository(checkout, tmp_path):
    stand_in(checkout)
    (tmp_path / "go").symlink_to(checkout / "scripts" / "train")
    assert run(tmp_path / "go", "brax/ant").stdout.endswith("|train|brax/ant|")


def test_train_without_arguments_leaves_the_choice_of_robot_to_softrl(checkout):
    stand_in(checkout)
    assert run(checkout / "scripts" / "train").stdout.endswith("|train|")


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_again(checkout, file):
    stand_in(checkout)
    with (checkout / file).open("a") as text:
        text.write("# changed\n")
    assert "installing softrl into" in run(checkout / "scripts" / "train").stdout


def test_an_extra_that_is_missing_is_installed(checkout):
    stand_in(checkout)
    assert "installing softrl[wandb] into" in run(checkout / "scripts" / "train", SOFTRL_EXTRAS="wandb").stdout


PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][0-9a-z.]*)( ; python_version (?P<when><|>=) \"3\.12\")?")


def pins() -> list[re.Match[str] | None]:
    """Every line of constraints.txt that is no comment, parsed."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]


def installed_without_extras() -> set[str]:
    """Distributions that `pip install softrl` brings, as they are called in normal form."""
    found: set[str] = set()
    waiting = [
        Requirement(line) for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ]
    while waiting:
        one = waiting.pop()
        if canonicalize_name(one.name) in found:
            continue
        found.add(canonicalize_name(one.name))
        inner = map(Requirement, metadata.requires(one.name) or ())
        extras = one.extras or {""}
        waiting += [r for r in inner if not r.marker or any(r.marker.evaluate({"extra": extra}) for extra in extras)]
    return found


WITHOUT = """
import sys
blocked = set(sys.argv.pop(1).split(","))
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from softrl.cli import main
main()
"""


def test_train_and_its_report_need_nothing_that_only_an_extra_brings(tmp_path):
    here = installed_without_extras() | {"softrl"}
    blocked = [
        module
        for module, owners in metadata.packages_distributions().items()
        if not here & {canonicalize_name(owner) for owner in owners}
    ]
    assert {"gymnasium", "onnx", "optuna"} <= set(blocked) and "jax" not in blocked
    words = "train probe/bounded-lq --steps 64 --num-envs 16 --width 8 --learning-starts 16 --n-step 1 --batch-size 8"
    words += (
        " --replay-size 256 --chunk-steps 4 --episode-length 4 --eval-every 64 --eval-episodes 2 --no-video --out run"
    )
    command = [sys.executable, "-c", WITHOUT, ",".join(blocked), *words.split()]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert (tmp_path / "run" / "report.html").exists()


def test_constraints_are_exact_pins_without_urls():
    assert "://" not in (ROOT / "constraints.txt").read_text()
    assert all(pins()), "a line that is no exact pin"


def test_constraints_give_each_python_one_version_of_a_package():
    seen: dict[str, list[str | None]] = {}
    for pin in pins():
        seen.setdefault(pin["name"], []).append(pin["when"])
    assert {name: when for name, when in seen.items() if when not in ([None], ["<", ">="])} == {}


def test_constraints_pin_every_dependency_and_the_development_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[a-zA-Z0-9_-]+", requirement)[0].lower() for requirement in asked}
    assert names - {"softrl"} <= {pin["name"] for pin in pins()}, "softrl[export] in dev names its own extras"


def test_the_package_and_its_metadata_name_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert softrl.__version__ == project["version"]
