"""The frame of the command line: help pages, errors and their exit codes, consoles, suggestions."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ccsds.cli import problems, style
from ccsds.cli.main import MENU, cli
from ccsds.errors import CcsdsError, ConfigurationError, EncodeError, ProtocolError, TruncatedError

NAMES = cli.list_commands(click.Context(cli))


def command_of(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def raising(error: Callable[[], BaseException]) -> style.Command:
    @click.command("bang", cls=style.Command)
    def bang() -> None:
        raise error()

    return bang


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ccsds.cli.main import run; run()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (lambda: problems.UsageProblem("no such mission"), 2, "bang: no such mission"),
        (lambda: problems.InputProblem("not a capture"), 3, "bang: not a capture"),
        (lambda: problems.StrictLoss("3 frames lost"), 4, "bang: 3 frames lost"),
        (lambda: ConfigurationError("frame_octets: missing"), 2, "frame_octets: missing"),
        (lambda: EncodeError("apid is 9999"), 2, "apid is 9999"),
        (lambda: TruncatedError("short", unit="tm frame", octet_offset=3, clause="4.1"), 3, "tm frame, octet 3: short"),
        (lambda: CcsdsError("root"), 3, "root"),
        (lambda: FileNotFoundError(errno.ENOENT, "No such file or directory", "a b.cadu"), 3, "a b.cadu: no such file"),
        (lambda: IsADirectoryError(errno.EISDIR, "Is a directory", "d"), 3, "d: is a directory"),
        (lambda: click.FileError("x", "unreadable"), 3, "unreadable"),
        (lambda: click.BadParameter("nine is no port"), 2, "nine is no port"),
        (KeyboardInterrupt, 130, "interrupted"),
        (click.Abort, 130, "interrupted"),
        (lambda: ProtocolError("out of turn"), 1, "defect in bang: ProtocolError: out of turn"),
        (lambda: ZeroDivisionError("division by zero"), 1, "please report it"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(error: Callable[[], BaseException], code: int, words: str) -> None:
    result = CliRunner().invoke(raising(error), [], prog_name="bang")
    assert result.exit_code == code
    assert result.stdout == ""
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_errors_of_the_link_layer_are_input_problems_without_importing_it() -> None:
    kind = type("PortError", (Exception,), {"__module__": "netmap_io.errors"})
    result = CliRunner().invoke(raising(lambda: kind("no packets in it")), prog_name="bang")
    assert (result.exit_code, result.stderr) == (3, "bang: no packets in it\n")


def test_a_message_of_several_lines_is_folded_into_one() -> None:
    result = CliRunner().invoke(raising(lambda: problems.InputProblem("one\n  two")), prog_name="bang")
    assert result.stderr == "bang: one two\n"


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_a_defect_shows_its_traceback_only_when_asked(monkeypatch: pytest.MonkeyPatch, value: str, shown: bool) -> None:
    monkeypatch.setenv("CCSDS_TRACEBACK", value)
    result = CliRunner().invoke(raising(lambda: KeyError("x")))
    assert result.exit_code == 1
    assert ("Traceback" in result.stderr) is shown
    usage = CliRunner().invoke(raising(lambda: problems.UsageProblem("x")))
    assert "Traceback" not in usage.stderr


@pytest.mark.parametrize(("given", "code"), [(None, 0), (0, 0), (4, 4)])
def test_what_a_command_returns_is_its_exit_code(given: int | None, code: int) -> None:
    @click.command(cls=style.Command)
    def returning() -> int | None:
        return given

    assert CliRunner().invoke(returning).exit_code == code


def test_a_closed_pipe_is_silent() -> None:
    script = (
        "import click\n"
        "from ccsds.cli.style import Command, console\n"
        "@click.command(cls=Command)\n"
        "@click.option('--rich', is_flag=True)\n"
        "def many(rich):\n"
        "    out = console() if rich else None\n"
        "    for number in range(100000):\n"
        "        out.print(number) if rich else click.echo(number)\n"
        "many.main(prog_name='many')\n"
    )
    for extra in ([], ["--rich"]):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *extra], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait(60) == 0


SMALL = (
    "import click\n"
    "from ccsds.cli.style import Command, console\n"
    "@click.command(cls=Command)\n"
    "@click.option('--bad', is_flag=True)\n"
    "def small(bad):\n"
    "    print('one')\n"
    "    console().print('two')\n"
    "    if bad: raise click.UsageError('no')\n"
    "small.main(prog_name='small')\n"
)


@pytest.mark.parametrize(
    ("redirection", "code", "output", "error"),
    [
        (">/dev/full", 3, "", "small: no space left on device\n"),
        (">&-", 0, "", ""),
        ("--bad 2>&-", 2, "one\ntwo\n", ""),
        ("--bad 2>/dev/full", 2, "one\ntwo\n", ""),
        (">&- 2>&- --bad", 2, "", ""),
    ],
)
def test_closed_and_full_standard_streams(redirection: str, code: int, output: str, error: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, SMALL], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, output, error)


def test_a_peer_that_hangs_up_is_not_a_closed_pipe() -> None:
    script = (
        "import click\n"
        "from ccsds.cli.style import Command\n"
        "@click.command(cls=Command)\n"
        "def send():\n"
        "    raise BrokenPipeError(32, 'Broken pipe')\n"
        "send.main(prog_name='send')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3, "send: broken pipe\n")


def test_the_menu_lists_every_command_module_and_no_other() -> None:
    folder = Path(problems.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "main", "style", "problems"}
    commands = {
        name
        for name in modules
        if "\ncommand" in (text := (folder / f"{name}.py").read_text()) or "\ndef command(" in text
    }
    assert commands == set(NAMES) <= set(MENU)


@pytest.mark.parametrize("name", NAMES)
def test_help_begins_with_a_sentence_and_three_examples_and_ends_with_exit_codes(name: str) -> None:
    command = command_of(name)
    assert isinstance(command, style.Command)
    assert len(command.examples) >= 3
    text = CliRunner().invoke(command, ["--help"], prog_name=f"ccsds {name}").stdout
    first = text.splitlines()[0]
    assert first[:1].isupper()
    assert text.index(command.examples[0][0]) < text.index("Usage: ") < text.index("Exit codes:")
    assert text.rstrip().splitlines()[-1].split()[0].isdecimal()


@pytest.mark.parametrize("name", NAMES)
def test_examples_use_options_that_exist(name: str) -> None:
    command = command_of(name)
    for line, _ in command.examples:
        cleaned = line.replace("$(", " ").replace(")", " ").replace('"', " ").replace(">", " | tee ").replace("<", " |")
        for part in cleaned.split("|"):
            words = shlex.split(part)
            if ["ccsds", name] != words[:2]:
                words = words[words.index("ccsds") :] if "ccsds" in words else []
            if words[:2] == ["ccsds", name]:
                command.make_parser(click.Context(command)).parse_args(words[2:])


def test_options_stand_under_their_headings() -> None:
    @click.command(cls=style.Command, examples=[("x", "why"), ("y" * 90, "long one")])
    @style.argument("capture", help="what to read")
    @style.option("--mission", group="Mission", help="slug")
    @style.option("--port", group="Input", help="which port")
    def sample(capture: str, mission: str, port: str) -> None:
        """One sentence.

        More about it.
        """

    text = CliRunner().invoke(sample, ["--help"]).stdout
    order = [
        text.index(word)
        for word in (
            "One sentence.",
            "# long one\n  " + "y" * 90,
            "Usage:",
            "More about it.",
            "Input:",
            "what to read",
            "--port",
            "Mission:",
            "--mission",
            "--help",
            "Exit codes:",
            "130",
        )
    ]
    assert order == sorted(order)


def test_an_unknown_command_gets_the_nearest_names() -> None:
    result = program("complet")
    assert result.returncode == 2
    assert result.stderr == "ccsds: there is no command 'complet'; did you mean completion? (see 'ccsds --help')\n"
    assert "did you mean" not in program("qqqqqq").stderr


def test_bare_command_and_version() -> None:
    assert program().stdout == program("--help").stdout
    assert program().returncode == 0
    assert program("--version").stdout.startswith("ccsds-link ")


def test_nearest_names() -> None:
    names = ["hera", "euclid", "snpp", "jpss1", "lunar-flashlight", "Lucy"]
    assert style.nearest("lunar", names)[0] == "lunar-flashlight"
    assert style.nearest("SNP", names)[0] == "snpp"
    assert style.nearest("lucie", names)[0] == "Lucy"
    assert style.nearest("", names) == style.nearest("zzzz", names) == []


def test_without_a_terminal_the_console_is_plain_and_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    from rich.table import Table

    table = Table("name", "frames")
    table.add_row("a" * 120, style.count(1234567))
    table.add_row("[not markup]", style.count(0))
    style.console().print(table)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a" * 120 in out
    assert "1,234,567" in out
    style.console().print("[not markup]", "x" * 150)
    assert capsys.readouterr().out == "[not markup] " + "x" * 150 + "\n"


def test_no_color_is_obeyed_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    assert style.console().color_system is not None
    monkeypatch.setenv("NO_COLOR", "1")
    assert style.console().color_system is None
