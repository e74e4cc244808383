"""softrl's architecture: imports go only downward, libraries stay in their packages, public names are documented."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "softrl"

LAYERS = {
    "types": 0,
    "algorithm": 0,
    "errors": 0,
    "clock": 0,
    "config": 0,
    "soft": 0,
    "tensors": 0,
    "layers": 0,
    "units": 0,
    "lazy": 0,
    "numpy_network": 0,
    "numpy_policy": 0,
    "inference": 1,
    "distributions": 1,
    "networks": 1,
    "replay": 1,
    "envs": 2,
    "experience": 2,
    "running_statistics": 1,
    "storage": 1,
    "losses": 2,
    "agents": 3,
    "training": 4,
    "presets": 5,
    "sweep": 5,
    "learner": 5,
    "export": 5,
    "reporting": 6,
    "serve": 6,
    "zoo": 6,
    "run": 7,
    "cli_parts": 6,
    "cli_output": 6,
    "cli_sweep": 7,
    "cli_serve": 7,
    "cli_zoo": 7,
    "cli_table": 7,
    "cli": 8,
    "compat": 8,
    "__init__": 9,
    "__main__": 9,
}
"""Packages by layer: a file or a folder of softrl."""

NEIGHBOURS = {
    ("config", "errors"),  # a setting out of range is an error
    ("tensors", "errors"),
    ("lazy", "errors"),
    ("algorithm", "clock"),
    ("algorithm", "types"),
    ("types", "clock"),  # a replay and an agent are told what time it is
    ("numpy_policy", "errors"),
    ("numpy_policy", "tensors"),  # a policy file is named tensors
    ("numpy_policy", "numpy_network"),
    ("numpy_policy", "layers"),
    ("numpy_network", "layers"),  # a network is data
    ("cli_serve", "run"),
    ("learner", "export"),  # a learner's policy leaves as a run's does
    ("networks", "distributions"),  # the policy's head is a distribution
    ("experience", "envs"),  # actions are given within a robot's own bounds
    ("sweep", "presets"),  # every robot of a sweep starts from its own preset
}
"""The only imports between two packages of one layer."""

ONLY_IN = {
    "optax": ("softrl.agents",),
    "brax": ("softrl.envs.brax", "softrl.reporting"),
    "mujoco_playground": ("softrl.envs",),
    "gymnasium": ("softrl.envs",),
    "envpool": ("softrl.envs.envpool",),
    "orbax": ("softrl.storage.checkpoint",),
    "ray": ("softrl.sweep",),
    "optuna": ("softrl.sweep",),
    "submitit": ("softrl.sweep.slurm",),
    "matplotlib": ("softrl.reporting",),
    "PIL": ("softrl.reporting",),
    "imageio_ffmpeg": ("softrl.reporting",),
    "tensorboardX": ("softrl.reporting.sinks",),
    "wandb": ("softrl.reporting.sinks",),
    "tyro": ("softrl.cli",),
    "onnx": ("softrl.export.onnx",),
    "onnxruntime": ("softrl.export.onnx",),
    "safetensors": ("softrl.tensors",),
    "grpc": ("softrl.serve",),
    "grpc_health": ("softrl.serve",),
    "google": ("softrl.serve",),
    "prometheus_client": ("softrl.serve",),
    "pickle": (),
    "cloudpickle": (),
}
"""Where a library may be imported: in the module itself or anything below it."""

HEAVY = (
    "brax",
    "mujoco",
    "orbax",
    "ray",
    "optuna",
    "matplotlib",
    "PIL",
    "gymnasium",
    "wandb",
    "socketserver",
    "onnx",
    "onnxruntime",
    "safetensors",
    "grpc",
    "prometheus_client",
)
"""What `import softrl` must not load; Brax alone costs seconds."""


def dotted(file: Path) -> str:
    """`softrl.envs.brax` for the file softrl/envs/brax.py; a folder's `__init__` is the folder."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def package_of(module: str) -> str:
    """`envs` for `softrl.envs.brax`; `__init__` for softrl itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


MODULES = {dotted(file): ast.parse(file.read_text(), file.name) for file in sorted(PACKAGE.rglob("*.py"))}
FILES = {dotted(file): file for file in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = {package_of(name) for name in MODULES}

each_module = pytest.mark.parametrize("module", MODULES)


def imported(module: str) -> Iterator[tuple[str, int]]:
    """Every module that a module imports, wherever in it, with the line; `from softrl import soft` is softrl.soft."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                inside = 0 if FILES[module].name == "__init__.py" else 1
                package = module.removesuffix(".__init__").split(".")
                base = package[: len(package) + 1 - node.level - inside]
                source = ".".join([*base, *filter(None, [node.module])])
            if source == "softrl":
                names = [alias.name for alias in node.names if alias.name != "__version__"]
                yield from ((f"softrl.{name}" if name in PACKAGES else "softrl", node.lineno) for name in names)
            else:
                yield source, node.lineno


def within(module: str, place: str) -> bool:
    """Whether a module is a place or below it; `softrl.envs.brax_html` counts as part of `softrl.envs.brax`."""
    return module == place or module.startswith((place + ".", place + "_"))


@each_module
def test_every_module_has_a_layer(module):
    package = package_of(module)
    assert package in LAYERS, f"{module}: give softrl.{package} a layer in tests/test_architecture.py"


@each_module
def test_imports_go_only_downward(module):
    here = package_of(module)
    wrong = []
    for target, line in imported(module):
        there = package_of(target)
        if target.split(".")[0] != "softrl" or here == there or (here, there) in NEIGHBOURS:
            continue
        if LAYERS.get(there, 99) >= LAYERS.get(here, 99):
            wrong.append(f"line {line}: layer {LAYERS.get(here)} ({here}) imports layer {LAYERS.get(there)} ({target})")
    assert not wrong, f"{module}: " + "; ".join(wrong)


def precise(module: str) -> set[str]:
    """The modules of softrl that a module imports, `from softrl.training import health` as softrl.training.health."""
    found = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found & MODULES.keys() - {module}


def test_no_module_imports_itself_by_way_of_others():
    """Circles, those of imports inside functions too: whoever is in one can only be understood with all of it."""
    left = {module: precise(module) for module in MODULES}
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    # What is left is in a circle, or imports one that is.
    while outer := [module for module in left if not any(module in targets for targets in left.values())]:
        for module in outer:
            del left[module]
    assert not left, f"import circles among {', '.join(sorted(left))}"


@each_module
def test_libraries_are_imported_only_where_they_may_be(module):
    wrong = [
        f"line {line}: {target}"
        for target, line in imported(module)
        if (library := target.split(".")[0]) in ONLY_IN and not any(within(module, place) for place in ONLY_IN[library])
    ]
    assert not wrong, f"{module} may not import {wrong}; see ONLY_IN"


def test_neighbours_share_a_layer_and_never_import_each_other_both_ways():
    for one, other in NEIGHBOURS:
        assert LAYERS[one] == LAYERS[other], f"{one} and {other} need no exception"
        assert (other, one) not in NEIGHBOURS


def test_import_softrl_loads_nothing_heavy():
    code = f"import sys, softrl; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "", f"`import softrl` also imports {done.stdout.strip()}"


def public_definitions(module: str) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions and classes of a module, and methods of its classes, without a leading underscore."""
    scopes: list[ast.AST] = [MODULES[module]]
    while scopes:
        for node in ast.iter_child_nodes(scopes.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                yield node
                if isinstance(node, ast.ClassDef):
                    scopes.append(node)


@each_module
def test_every_public_name_is_documented(module):
    assert ast.get_docstring(MODULES[module]), f"{module} has no docstring"
    bare = [f"{node.name} (line {node.lineno})" for node in public_definitions(module) if not ast.get_docstring(node)]
    assert not bare, f"{module}: no docstring on {', '.join(bare)}"


@each_module
def test_no_tower_of_inner_functions(module):
    towers = []
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.FunctionDef):
            inner = sum(isinstance(child, ast.FunctionDef) for child in ast.walk(node)) - 1
            if inner > 3:
                towers.append(f"{node.name} (line {node.lineno}) holds {inner} inner functions")
    assert not towers, f"{module}: " + "; ".join(towers)
