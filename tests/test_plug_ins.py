"""An algorithm is one folder and one line of the registry: nothing else knows which there are, or their settings."""

import ast
import dataclasses
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import softrl
from softrl.agents import ALGORITHMS, algorithm
from softrl.agents.registry import PUBLIC

PACKAGE = Path(__file__).resolve().parents[1] / "softrl"

GENERAL = {"gamma", "temperature", "width", "depth", "activation", "tau", "horizon", "demonstrations", "norm"}
GENERAL |= {"exploration", "atoms", "critic", "precision"}
"""Words that mean the same in other places: an environment's discount, a layer's width, the tutorial's α, a replay's
horizon, what a learner is shown, a vector's length, what is done to find out, a distribution's points."""

MAY_KNOW = (
    "agents",
    "compat",
    "losses",
    "networks",
    "distributions",
    "inference",
    "numpy_network",
    "numpy_policy",
    "layers",
)
"""agents: the algorithms themselves. compat: front doors to one of them, in other libraries' words. The others are
below algorithms and have parameters of their own of these names (the range of a policy's log_std, say)."""


@functools.cache
def outside() -> dict[Path, list[tuple[str, int]]]:
    """Files that must not know an algorithm, and their `words`."""
    return {
        file: list(words(ast.parse(file.read_text())))
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.relative_to(PACKAGE).parts[0].removesuffix(".py") not in MAY_KNOW
    }


def words(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name, attribute, argument, keyword and text in code but docstrings, with its line."""
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield node.arg, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield from ((word, node.lineno) for word in node.value.replace("-", "_").split())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_setting_of_an_algorithm_is_named_outside_its_folder(name):
    entry = algorithm(name)
    known = {field.name for kind in (entry.config, entry.hypers) for field in dataclasses.fields(kind)} - GENERAL
    found = [
        f"{file.relative_to(PACKAGE)}:{line} {word}"
        for file, said in outside().items()
        for word, line in said
        if word.strip("`,;:.()[]{}'\"") in known
    ]
    assert not found, f"settings of {name}: {', '.join(found)}"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_algorithm_is_imported_outside_its_folder_and_the_registry(name):
    package = ALGORITHMS[name]
    found = [
        str(file.relative_to(PACKAGE))
        for file in sorted(PACKAGE.rglob("*.py"))
        if package in file.read_text() and not str(file).startswith(str(PACKAGE / "agents"))
    ]
    assert not found, f"{package} is known to {', '.join(found)}"


def test_importing_the_registry_loads_no_algorithm(user_environment):
    code = "import sys, softrl.agents; print([name for name in sys.modules if name.startswith('softrl.agents.')])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=user_environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['softrl.agents.registry']"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_says_all_that_the_rest_must_know(name):
    entry = algorithm(name)
    assert entry.name == name and "gamma" in {field.name for field in dataclasses.fields(entry.hypers)}
    assert {"tuned", "classic"} <= entry.presets.keys()
    assert all(metric.meaning for metric in entry.metrics.values())
    settings = {field.name for part in (entry.config, entry.hypers) for field in dataclasses.fields(part)}
    assert entry.old_fields({}).keys() <= settings


@pytest.mark.parametrize("package, name", [(package, name) for package, names in PUBLIC.items() for name in names])
def test_softrls_own_names_are_the_same_after_an_algorithm_was_used(package, name):
    for known in ALGORITHMS:
        algorithm(known)
    assert getattr(softrl, name) is getattr(sys.modules[package], name)
    assert callable(getattr(softrl, name))
