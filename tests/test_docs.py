"""The documentation is true: its code runs as written, its links and paths exist, its commands are softrl's own."""

import json
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from softrl import cli, cli_serve, cli_sweep, cli_table
from softrl.agents import ALGORITHMS
from softrl.config import flat
from softrl.learner import LearnerConfig
from softrl.serve.server import ServeConfig
from softrl.training.config import Config
from tests import pages

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md")))]
SHIPPED = [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"]

PRIVATE = (
    r"\b(house|floors?|rooms?|harvests?|waves?|fleets?|footage|intakes?|desks?|shel(f|ves)|tellers?|doors?|told)\b"
)
"""Words for softrl's own parts that say nothing to a stranger."""


def failures(names: list[str], *, slow: bool, environment: dict[str, str], folder: Path) -> dict[str, str | None]:
    """What goes wrong on each page, all of them run by one process, as a user's."""
    environment = environment | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.pages", *(str(ROOT / name) for name in names), *["--slow"] * slow]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stderr)
    return {name: json.loads(done.stdout.splitlines()[-1])[str(ROOT / name)] for name in names}


@pytest.fixture(scope="module")
def quick(user_environment, tmp_path_factory) -> dict[str, str | None]:
    """All pages, without what is slow."""
    return failures(PAGES, slow=False, environment=user_environment, folder=tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_as_written(page, quick):
    assert quick[page] is None


@pytest.mark.slow
def test_every_slow_block_runs_as_written(user_environment, tmp_path):
    names = [page for page in PAGES if re.search("<!-- test: (slow|page) ", (ROOT / page).read_text())]
    found = failures(names, slow=True, environment=user_environment, folder=tmp_path)
    assert found == dict.fromkeys(names)


BROKEN = [
    # (a page, the line and the error of what is wrong with it)
    ("# A page\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "line 8: AssertionError"),
    ("```python\nx = 1\n\n\nmissing(x)\n```\n", "line 5: NameError: name 'missing' is not defined"),
    ("<!-- test: skip needs a robot -->\n```python\nrobot.go(\n```\n", "line 3: SyntaxError"),
    ("<!-- test: python\n1 / 0\n-->\n", "line 2: ZeroDivisionError"),
    ("```bash\nsoftrl train probe/death --gama 0.9\n```\n", "line 2: ValueError"),
    ("```bash\nsoftrl train probe/death --gamma 1\n```\n", "line 2: ValueError"),
    ("```bash\nsoftrl evaluate runs/x\n```\n", "line 2: ValueError"),
    ("```bash\nsoftrl sweep lr.toml --luncher ray\n```\n", "line 2: ValueError"),
    ("```bash\nsoftrl sweep lr.toml\n```\n", "line 2: ConfigError: there is no sweep spec"),
    ('```toml\n[base]\nenv = "probe/death"\ngama = 0.9\n```\n', "line 2: ConfigError: unknown setting 'gama'"),
    ("```bash\npip install 'softrl[gymn]'\n```\n", "line 2: ValueError: pyproject.toml has no extra 'gymn'"),
    ("```bash\npython experiments/no_such.py\n```\n", "line 2: FileNotFoundError"),
    ("```bash\nscripts/bench update\n```\n", "line 2: ValueError: scripts/bench has no command 'update'"),
    ("```bash\nsoftlr train\n```\n", "line 2: ValueError: unknown program 'softlr'"),
    ("<!-- test: run -->\n```bash\nsoftrl eval runs/none\n```\n", "line 3: ValueError"),
    ("```\nwhat is this\n```\n", "line 2: ValueError: a block must be"),
    ("<!-- test: skip -->\n```python\n1\n```\n", "ValueError: line 1: a comment must be"),
    ("<!-- test: skip needs a robot -->\n\ntext\n", "ValueError: line 3: `skip needs a robot` stands before no block"),
]


@pytest.mark.parametrize("text, words", BROKEN, ids=[words for _, words in BROKEN])
def test_a_broken_block_is_noticed_with_its_line(text, words, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert words in str(pages.failure(page, tmp_path))


def test_a_page_that_is_right_passes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n\n<!-- test: python\ny = x + 1\n-->\n\n```python\nassert y == 2\n```\n\n"
        "<!-- test: skip needs a robot -->\n```python\nrobot.go()\n```\n\n"
        "```bash\nsoftrl train probe/death --gamma 0.9 \\\n  --seed 3   # a comment\n```\n"
    )
    assert pages.failure(page, tmp_path) is None


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", SHIPPED)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.exists(), f"{page}: there is no {target}"
        assert not anchor or anchor in anchors(file), f"{page}: {name} has no heading #{anchor}"


@pytest.mark.parametrize("page", SHIPPED)
def test_every_path_and_module_that_is_named_exists(page):
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL))
    for span in spans:
        for path in re.findall(r"^(?:\./)?((?:tests|docs|experiments|scripts|softrl)/[\w./-]+)", span):
            assert (ROOT / path).exists(), f"{page}: there is no {path}"
        for name in re.findall(r"^(softrl(?:\.\w+)+)", span):
            assert resolved(name), f"{page}: there is no {name}"


def resolved(name: str) -> bool:
    """Whether a dotted name is a module of softrl, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_every_command_and_flag_that_is_named_exists():
    options = (cli.TrainOptions, cli.EvalOptions, cli.RenderOptions, cli.ReportOptions, cli_serve.ExportOptions)
    options += (cli.DemonstrateOptions, cli_table.TableOptions)
    options += (cli_serve.ServeOptions, cli_sweep.SweepOptions, cli_sweep.BestOptions, ServeConfig)
    known = {field.name for kind in options for field in fields(kind)}
    known |= flat(LearnerConfig()).keys() | {"from", "help", "version", "slow"}
    known |= {name for algorithm in ALGORITHMS for name in flat(Config(algorithm))}
    ours = {name.replace("_", "-") for name in known}
    for page in PAGES:
        text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
        for span in re.findall(r"`([^`\n]+)`", text):
            if span.startswith(("scripts/", "docker", "--build-arg", "ray ", "pip ", "jupyter ", "./scripts/test")):
                continue
            wrong = [flag for flag in re.findall(r"--([a-z][a-z-]*)", span) if flag.removeprefix("no-") not in ours]
            assert not wrong, f"{page}: `{span}` has the unknown flag --{', --'.join(wrong)}"
            command = re.match(r"softrl ([a-z]+)\b", span)
            assert command is None or f"softrl {command[1]} " in cli.USAGE, f"{page}: `{span}` is no command"


def test_readme_is_short_and_names_every_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 180
    assert [page for page in PAGES[1:] if f"]({page})" not in text] == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_no_private_words(page):
    text = (ROOT / page).read_text()
    found = {match[0] for match in re.finditer(PRIVATE, text, flags=re.IGNORECASE)}
    assert not found, f"{page}: {', '.join(sorted(found))}"
