"""Runs the code blocks of documentation pages as written: `python -m tests.pages README.md docs/training.md`.

The Python blocks of a page share one namespace and one empty directory, top to bottom. A TOML block is a sweep's spec:
it is read by `softrl.sweep`, and kept under the name in its first line (`# lr.toml`). The commands of a bash block go
through the real command line up to where work would begin, so that every flag and value is checked. In the page's
source a comment before a block can say more; readers of the page do not see it:

    <!-- test: skip needs a Ray cluster -->       the block is only parsed; the reason must be given
    <!-- test: slow compiles Brax's physics -->   the same, but with `--slow` it runs
    <!-- test: run --steps 512 -->                the commands really run, with these words added to each
    <!-- test: page trains five runs -->          once on a page: only with `--slow` does any of its code run
    <!-- test: python                             Python that belongs to the page's namespace but is not shown
    obs = env.observation_space.sample()
    -->
"""

import json
import os
import re
import shlex
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from tests.memory import give_back

ROOT = Path(__file__).resolve().parents[1]

WORK = (
    "softrl.reporting.show.training",
    "softrl.reporting.sweep_progress.sweeping",
    "softrl.sweep.plan_text.planned",
    "softrl.sweep.folder.read",
    "softrl.run.load",
    "softrl.learner.files.is_learner",
    "softrl.reporting.report.read",
    "softrl.reporting.table.gather.read",
    "softrl.serve.command.serve",
)
"""Where the commands of softrl begin to work, once their arguments are parsed and checked."""

OTHERS = ("cd", "docker", "git", "pip", "ray")
"""Other people's programs, whose arguments are theirs."""


class Block(NamedTuple):
    """A piece of a page. line: of its first line of code. note: `skip …`, `slow …` or `run …` of the comment before."""

    line: int
    language: str
    code: str
    note: str = ""


class Began(Exception):
    """A command has come as far as to its work."""


def blocks(text: str) -> list[Block]:
    """The code blocks of a page, and the Python in its comments, in order.

    Raises: ValueError: a comment that says nothing known, or belongs to no block.
    """
    found, note, lines = [], "", text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("<!-- test:"):
            end = next(i for i in range(at, len(lines)) if lines[i].endswith("-->"))
            said = "\n".join(lines[at : end + 1]).removeprefix("<!-- test:").removesuffix("-->")
            word, _, rest = said.strip().partition("\n" if said.strip().startswith("python") else " ")
            if word == "python" and rest:
                found.append(Block(at + 2, "python", rest))
            elif (word in ("skip", "slow") and len(rest.split()) > 1) or word == "run":
                note = f"{word} {rest}"
            elif word == "page" and len(rest.split()) > 1:
                pass
            else:
                known = "`skip`, `slow` or `page` with a reason, `run` or `python`"
                raise ValueError(f"line {at + 1}: a comment must be {known}: {said!r}")
            at = end
        elif line.startswith("```"):
            end = next(i for i in range(at + 1, len(lines)) if lines[i] == "```")
            found.append(Block(at + 2, line[3:], "\n".join(lines[at + 1 : end]), note))
            note, at = "", end
        elif line and note:
            raise ValueError(f"line {at + 1}: `{note}` stands before no block")
        at += 1
    return found


def failure(page: Path, directory: Path, *, slow: bool = False) -> str | None:
    """Runs a page in a directory; None where all went well, otherwise the line and the error of what did not."""
    before, line = os.getcwd(), 0
    namespace: dict[str, Any] = {"__name__": "__main__"}
    os.chdir(directory)
    try:
        text = page.read_text()
        for block in blocks(text):
            line, started = block.line, time.perf_counter()
            if "<!-- test: page " in text and not slow and not block.note.startswith("skip"):
                block = block._replace(note="skip")
            _run(block, page, namespace, slow)
            print(f"{page.name}:{line}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    except (Exception, SystemExit) as error:
        frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(page)]
        traceback.print_exc()
        return f"line {frames[-1] if frames else line}: {type(error).__name__}: {error}"
    finally:
        os.chdir(before)
    return None


def _run(block: Block, page: Path, namespace: dict[str, Any], slow: bool) -> None:
    word, _, rest = block.note.partition(" ")
    if word == "slow" and not slow:
        word = "skip"
    if block.language == "python":
        # The empty lines make a traceback show the page's own line.
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        if word != "skip":
            exec(code, namespace)
    elif block.language == "bash":
        for words in commands(block.code):
            if word != "skip" or not rest:  # of a page that is skipped as a whole the commands are still checked
                _command(words, shlex.split(rest) if word == "run" else None)
    elif block.language == "toml":
        name = re.match(r"# (\S+\.toml)\n", block.code)
        Path(name[1] if name else "spec.toml").write_text(block.code)
        from softrl.sweep import spec

        spec.load(tomllib.loads(block.code))
    elif block.language != "text":
        raise ValueError(f"a block must be python, bash, toml or text, not {block.language!r}")


def commands(code: str) -> Iterator[list[str]]:
    """The commands of a bash block, without comments and assignments before them."""
    for line in code.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                words.append(word)
                continue
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words:
                yield words
            words = []


def _command(words: list[str], more: list[str] | None) -> None:
    """Checks one command. more: words to add to it to really run it; None: it is not run."""
    program, arguments = words[0], words[1:]
    if program == "./scripts/train":
        program, arguments = "softrl", ["train", *arguments]
    if program == "softrl":
        _softrl(arguments if more is None else [*arguments, *more], parse_only=more is None)
    elif program == "pip":
        _require_extras(arguments)
    elif program == "python" or "/" in program:
        paths = [word for word in words if "/" in word or word.endswith(".py")]
        missing = [path for path in paths if not (ROOT / path).exists()]
        if missing:
            raise FileNotFoundError(f"there is no {', '.join(missing)}")
        if program.endswith("scripts/bench") and not (ROOT / f"scripts/benchmarks/{arguments[0]}.py").exists():
            raise ValueError(f"scripts/bench has no command {arguments[0]!r}")
    elif program not in OTHERS:
        raise ValueError(f"unknown program {program!r}")


def _softrl(arguments: list[str], *, parse_only: bool) -> None:
    """The command line itself; with `parse_only` as far as to where its work begins."""
    from softrl import cli

    with ExitStack() as stack:
        for place in WORK if parse_only else ():
            stack.enter_context(mock.patch(place, side_effect=Began))
        try:
            cli.main(arguments)
        except Began:
            pass
        except SystemExit as error:
            if error.code:
                raise ValueError(f"softrl {shlex.join(arguments)} ended with exit code {error.code}") from None
            if parse_only and arguments not in (["envs"], ["zoo"]) and "--help" not in arguments:
                raise ValueError(f"softrl {shlex.join(arguments)} did its work: WORK names where it begins") from None
    if parse_only and arguments[0] == "sweep":
        from softrl.sweep import spec

        here = Path(arguments[1])
        spec.load(here if here.exists() else ROOT / here)


def _require_extras(arguments: list[str]) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in arguments:
        for extra in re.findall(r"\[(.*)\]", word):
            if not set(extra.split(",")) <= known.keys():
                raise ValueError(f"pyproject.toml has no extra {extra!r}")


def main(words: list[str]) -> None:
    """Prints a JSON object, page → its failure or null. `--slow` runs the slow blocks too."""
    found = {}
    for page in [word for word in words if word != "--slow"]:
        with tempfile.TemporaryDirectory() as directory:
            found[page] = failure(Path(page).resolve(), Path(directory), slow="--slow" in words)
        give_back()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
