"""The map of the paper names functions and tests that exist, and leaves no public function out."""

import ast
import re
import runpy
from pathlib import Path

from softrl import agents, inference

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "inference.md").read_text()


def existing() -> set[tuple[str, bool]]:
    """Every test of the repository by its name, and whether it is slow."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py")]
    found = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {(node.name, "pytest.mark.slow" in map(ast.unparse, node.decorator_list)) for node in found}


def test_every_test_on_the_page_exists_and_is_called_slow_where_it_is():
    named = {(name, bool(slow)) for name, slow in re.findall(r"`(test_\w+)`( \(slow\))?", PAGE)}
    assert len(named) > 60
    assert named - existing() == set()


def test_every_registered_algorithm_has_a_row_and_every_row_a_test():
    rows = [line for line in PAGE.splitlines() if line.startswith("| as a learner, ")]
    learned = re.findall(r"`--algorithm ([a-z-]+)`", "\n".join(rows))
    assert sorted(learned) == sorted(agents.ALGORITHMS)
    below = PAGE.index("## Map of what is learned")
    cells = [line for line in PAGE[below : PAGE.index("## Numerics")].splitlines() if line.startswith("| ")]
    assert [line for line in cells if "`test_" not in line and "| equation |" not in line] == []


def test_every_public_name_is_on_the_page_and_explains_itself():
    tables = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    on_page = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", tables))
    assert set(inference.__all__) <= on_page
    for name in inference.__all__:
        thing = getattr(inference, name)
        assert thing.__doc__, name
        assert not thing.__doc__.startswith(f"{name}("), name  # a NamedTuple's own, which says nothing


def test_the_page_s_example_runs_and_shows_what_it_says(capsys, tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "example.py").write_text(block)
    names = runpy.run_path(str(tmp_path / "example.py"))
    assert "is what it makes of [0.5 0.5]" in capsys.readouterr().out
    assert names["posterior"].dynamics[0, 0, 1, 1] > 0.9
    assert names["gap"] > 0
    assert names["gaps"].shape == (50,)
    assert names["slope"] < 0
