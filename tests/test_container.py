"""The container and the pins without a container engine: what a build would copy, ask pip for, and get."""

import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
VARIANTS = ["cpu", "cuda12", "cuda13", "tpu"]
PYTHONS = ["3.11", "3.12", "3.13"]
DEFAULTS = dict(re.findall(r'^ARG (\w+)="?(.*?)"?$', DOCKERFILE, re.MULTILINE))


def instructions() -> list[tuple[str, str]]:
    """(name, arguments) of every instruction of the Dockerfile, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in "\n".join(lines).replace("\\\n", "").splitlines()]


def copied() -> list[str]:
    """The files and folders that the Dockerfile copies from the repository."""
    return [source for name, what in instructions() if name == "COPY" for source in what.split()[:-1]]


def let_through(path: str) -> bool:
    """Whether .dockerignore sends a path to the build: the last pattern that matches it or a parent decides."""
    names = [path, *map(str, PurePosixPath(path).parents)]
    sent = True
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = re.compile(wildcard(line.removeprefix("!")))
        if any(pattern.fullmatch(name) for name in names if name != "."):
            sent = line.startswith("!")
    return sent


def wildcard(pattern: str) -> str:
    """A pattern of .dockerignore as a regular expression: `*` stays inside a folder, `**/` is any number of them."""
    assert not re.search(r"[?\[\\]", pattern), "only * and **/ are understood here"
    return "".join(
        {"**/": "(.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", pattern)
    )


def test_everything_that_the_container_copies_exists_and_is_sent_to_the_build():
    sources = copied()
    assert sources, "no COPY was found"
    for source in sources:
        assert (ROOT / source).exists(), source
        assert let_through(source), source
    files = [path.relative_to(ROOT) for path in (ROOT / "softrl").rglob("*") if path.is_file()]
    assert [str(file) for file in files if not let_through(str(file)) and "__pycache__" not in file.parts] == []


@pytest.mark.parametrize("path", [".git/HEAD", ".venv/bin/python", "runs/a/video.mp4", "softrl/envs/__pycache__/x.pyc"])
def test_what_no_container_needs_is_kept_from_the_build(path):
    assert not let_through(path)


def test_what_the_package_is_built_from_is_copied_before_it_is_installed():
    first_pip = next(i for i, (_, what) in enumerate(instructions()) if "pip install" in what)
    before = [source for name, what in instructions()[:first_pip] if name == "COPY" for source in what.split()[:-1]]
    assert {"pyproject.toml", "constraints.txt", PROJECT["readme"], *PROJECT["license-files"]} <= set(before)


def test_the_build_arguments_that_the_header_names_are_extras_of_the_project():
    header = DOCKERFILE.partition("\nFROM")[0]
    accelerators = re.findall(r"ACCELERATOR=(\w+)", header)
    accelerators += re.findall(r"\w+", re.search(r"ACCELERATOR is ([\w, ]+)", header)[1].replace(" or ", " "))
    extras = re.search(r'EXTRAS="([^"]+)"', header)[1].split()
    assert set(accelerators) == set(VARIANTS)
    assert {*accelerators, *extras} - {"cpu"} <= set(EXTRAS)
    assert set(DEFAULTS) == {"ACCELERATOR", "EXTRAS"}


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ({}, "."),
        ({"ACCELERATOR": "cuda13"}, ".[cuda13]"),
        ({"EXTRAS": "gym export"}, ".[gym,export]"),
        ({"ACCELERATOR": "cuda12", "EXTRAS": "gym"}, ".[cuda12,gym]"),
        ({"ACCELERATOR": "tpu", "EXTRAS": " gym,  export , serve "}, ".[tpu,gym,export,serve]"),
    ],
)
def test_the_container_asks_pip_for_what_its_build_arguments_say(tmp_path, arguments, target):
    script = next(what for name, what in instructions() if name == "RUN" and "EXTRAS" in what)
    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text('#!/bin/sh\nprintf "%s|" "$@" >>pip.log\necho >>pip.log\n')
    pip.chmod(0o755)
    environment = {"PATH": f"{pip.parent}:{os.environ['PATH']}", **DEFAULTS, **arguments}
    subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=60)
    asked = [line.split("|")[:-1] for line in (tmp_path / "pip.log").read_text().splitlines()]
    assert asked == [["install", "--no-cache-dir", target, "-c", "constraints.txt"], ["uninstall", "-y", "softrl"]]


@cache
def pins(python: str) -> dict[str, str]:
    """{name: version} of constraints.txt on 64-bit Linux with one Python."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in found
        if pin.marker is None or pin.marker.evaluate(linux(python))
    }


def linux(python: str, extra: str = "") -> dict[str, str]:
    """What a requirement's marker sees on 64-bit Linux."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": extra,
    }


def asked_by(requirement: Requirement, python: str) -> list[Requirement]:
    """What a pinned package asks for in turn, as far as the metadata of this environment tell: its installed pins."""
    try:
        installed = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return []
    if installed.version != pins(python).get(canonicalize_name(requirement.name)):
        return []
    asked = [Requirement(line) for line in installed.requires or []]
    extras = ["", *requirement.extras]
    return [one for one in asked if one.marker is None or any(one.marker.evaluate(linux(python, e)) for e in extras)]


def closure(variant: str, python: str) -> list[Requirement]:
    """Every requirement of a variant, direct ones first, then those of the packages that are installed here."""
    waiting = [Requirement(line) for line in PROJECT["dependencies"] + EXTRAS.get(variant, [])]
    seen: dict[str, Requirement] = {}
    while waiting:
        requirement = waiting.pop()
        if str(requirement) not in seen:
            seen[str(requirement)] = requirement
            waiting += asked_by(requirement, python)
    return list(seen.values())


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_requirement_of_a_variant_is_pinned_to_a_version_that_it_allows(variant, python):
    pinned = pins(python)
    wrong = {
        str(requirement): pinned.get(canonicalize_name(requirement.name))
        for requirement in closure(variant, python)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"), prereleases=True)
        or canonicalize_name(requirement.name) not in pinned
    }
    assert wrong == {}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_what_jax_asks_for_on_an_accelerator_is_pinned_for_every_python(variant, python):
    asked = [Requirement(line) for line in metadata.requires("jax")]
    names = {
        canonicalize_name(one.name)
        for one in asked
        if one.marker and "extra" in str(one.marker) and one.marker.evaluate(linux(python, variant))
    }
    assert len(names) > 1, "jax no longer has this extra"
    assert names <= set(pins(python))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_pins_of_a_variant_resolve_and_leave_nothing_unpinned(tmp_path, variant):
    """With the Python that runs this: pip reads the accelerator's packages from the index, gigabytes the first time."""
    target = "." if variant == "cpu" else f".[{variant}]"
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--report", report]
    done = subprocess.run(
        [*command, target, "-c", "constraints.txt"], cwd=ROOT, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr
    found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    resolved = {canonicalize_name(one["name"]): one["version"] for one in found}
    del resolved["softrl"]
    pinned = pins(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert {name: version for name, version in resolved.items() if pinned.get(name) != version} == {}
