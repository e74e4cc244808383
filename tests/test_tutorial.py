"""The tutorial's notebooks run to their end, where every statement is an assertion; outputs are those of a run."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "tutorial"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]

MOST_BYTES = 1_000_000
"""Of all together: who clones the repository clones them."""

MACHINE = re.compile(r"(?<![\w.])/(work|tmp|root|home|Users)\b")
"""How a path of somebody's machine begins."""


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(output: nbformat.NotebookNode) -> str:
    """All that an output says in words."""
    data = {kind: value for kind, value in output.get("data", {}).items() if kind != "image/png"}
    return f"{output.get('text', '')}{output.get('evalue', '')}{json.dumps(data)}"


def wrong_with(notebook: nbformat.NotebookNode) -> list[str]:
    """What an executed notebook should not show, one line each; nothing where all is well."""
    cells, found = code(notebook), []
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("cells were not run once each, from top to bottom")
    outputs = [output for cell in cells for output in cell.outputs]
    if not any("image/png" in output.get("data", {}) for output in outputs):
        found.append("there is no figure")
    for output in outputs:
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append(f"an error or a warning: {text_of(output)}")
    for said in [*(cell.source for cell in notebook.cells), *map(text_of, outputs)]:
        found += [f"a path of a machine: {said[match.start() :][:60]}" for match in MACHINE.finditer(said)]
    return found


def test_there_are_five_and_they_are_small():
    assert [name[:2] for name in NAMES] == ["1_", "2_", "3_", "4_", "5_"]
    assert sum(path.stat().st_size for path in NOTEBOOKS) <= MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_notebook_is_valid_was_run_and_shows_nothing_of_the_machine(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    assert wrong_with(notebook) == []
    assert any("assert " in cell.source for cell in code(notebook))


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_a_notebook_leads_somewhere(name):
    cells = nbformat.read(FOLDER / name, as_version=4).cells
    targets = re.findall(r"\]\(([^)\s]+)\)", "\n".join(cell.source for cell in cells if cell.cell_type == "markdown"))
    missing = [target for target in targets if "://" not in target and not (FOLDER / target).exists()]
    assert targets and missing == []


BROKEN = {
    "error": {"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": []},
    "warning": {"output_type": "stream", "name": "stderr", "text": "DeprecationWarning"},
    "path": {"output_type": "stream", "name": "stdout", "text": "saved in /home/me/runs"},
}


@pytest.mark.parametrize("output", BROKEN.values(), ids=BROKEN)
def test_what_should_not_be_shown_is_noticed(output):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    code(notebook)[0].outputs.append(nbformat.from_dict(output))
    assert len(wrong_with(notebook)) == 1


def test_a_notebook_without_outputs_or_out_of_order_is_noticed():
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    for cell in code(notebook):
        cell.execution_count, cell.outputs = None, []
    assert len(wrong_with(notebook)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_to_its_end(name, user_environment, tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(FOLDER / name, as_version=4)
    for cell in code(notebook):
        cell.execution_count, cell.outputs = None, []
    environment = user_environment | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path)}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute(env=environment)
    assert wrong_with(notebook) == []
