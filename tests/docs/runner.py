"""Runs what a page shows: python and console blocks, in order, in one folder, with one namespace per page."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>[\w{}-]*)[ \t]*(?P<rest>.*)$")
EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS = 300

# A child of its own, so that a page meets Python as a reader does and not as pytest sets it up.
CHILD = """
import contextlib, io, json, sys, traceback
names = {"__name__": "__main__"}
requests, answers = sys.stdin, sys.stdout
for request in requests:
    block = json.loads(request)
    said, error = io.StringIO(), None
    with contextlib.redirect_stdout(said):
        try:
            exec(compile("\\n" * block["line"] + block["source"], block["page"], "exec"), names)
        except BaseException:
            error = traceback.format_exc()
    print(json.dumps({"said": said.getvalue(), "error": error}), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its fence, counted from 1."""

    language: str
    rest: str
    source: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown page."""
    language, rest, begin, body = "", "", 0, None
    for number, line in enumerate(text.splitlines(), 1):
        if body is None:
            found = FENCE.match(line)
            if found:
                language, rest, begin, body = found["language"], found["rest"].strip(), number, []
        elif line.rstrip() == "```":
            yield Block(language, rest, "\n".join(body) + "\n", begin)
            body = None
        else:
            body.append(line)
    if body is not None:
        raise ValueError(f"line {begin}: the block is never closed")


def excused(block: Block) -> bool:
    """True for a block marked `no-run: reason`; a mark without its reason is an error."""
    if not block.rest.startswith("no-run"):
        return False
    if not re.fullmatch(r"no-run: \S.*", block.rest):
        raise ValueError(f"line {block.line}: write why the block is not run, as in ```{block.language} no-run: reason")
    return True


def commands(source: str) -> Iterator[tuple[str, int, str]]:
    """(command, exit code, expected output) of each `$ ` line of a console block."""
    command, expected = None, []
    for line in [*source.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command is not None:
                code = EXIT_CODE.search(command)
                yield EXIT_CODE.sub("", command), int(code[1]) if code else 0, "\n".join(expected)
            command, expected = line[2:], []
        elif command is None:
            raise ValueError("a console block begins with '$ '")
        else:
            expected.append(line)


def environment(folder: Path) -> dict[str, str]:
    """What the commands of a page see: the `ccsds` of this environment, no colours, 80 columns."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "80", "HOME": str(folder)}


def run_command(command: str, code: int, expected: str, folder: Path) -> None:
    """Run one command as a terminal would show it; compare loosely, and not at all where the page shows nothing."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == code, f"$ {command}\nended with {done.returncode}, not {code}:\n{done.stdout}"
    same = doctest.OutputChecker().check_output(expected + "\n", done.stdout, LOOSELY)
    assert not expected.strip() or same, f"$ {command}\nprinted\n{done.stdout}\nand the page says\n{expected}"


class Interpreter:
    """A Python that runs one block after the other in the same namespace."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", CHILD],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, block: Block, page: str) -> str:
        """What the block printed; an AssertionError with its traceback where it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"source": block.source, "line": block.line, "page": page}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '{"said": "", "error": "the interpreter died"}')
        assert answer["error"] is None, answer["error"]
        return str(answer["said"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def run_page(page: Path, folder: Path) -> int:
    """Run the blocks of `page` in `folder`; return how many ran."""
    ran = 0
    interpreter = Interpreter(folder)
    try:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language not in ("python", "console") or excused(block):
                continue
            ran += 1
            if block.language == "python":
                interpreter.run(block, str(page))
                continue
            for command, code, expected in commands(block.source):
                run_command(command, code, expected, folder)
    finally:
        interpreter.close()
    return ran
