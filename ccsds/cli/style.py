"""How every command looks: help that begins with examples, grouped options, one place for errors, one console.

A command module makes its command so, and imports what is slow inside the function:

    @click.command(cls=Command, examples=[("ccsds replay pass.cadu --mission snpp", "losses of a pass"), ...])
    @argument("capture", group="Input", help="file, or - for standard input")
    @option("--mission", group="Mission", help="slug or TOML file")
    def command(capture: str, mission: str | None) -> None:
        \"\"\"Packets of a recording, and an exact account of what was lost.\"\"\"

Take paths as plain strings and open them: a missing file is then an OSError, exit code 3, and not wrong use.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from ccsds.cli import problems

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["Command", "Group", "argument", "console", "count", "error_console", "nearest", "option"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

USUAL_EXIT_CODES = (0, 1, 2, 3, 130)
COLUMNS_WITHOUT_TERMINAL = 200


class GroupedOption(click.Option):
    """An option under a heading of the help page."""

    def __init__(self, *arguments: Any, group: str = "Options", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group


class DescribedArgument(click.Argument):
    """An argument with a line of its own on the help page."""

    def __init__(self, *arguments: Any, group: str = "Input", help: str = "", **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group
        self.description = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.make_metavar(ctx), self.description


def option(*declarations: str, group: str = "Options", **attributes: Any) -> Callable[[Decorated], Decorated]:
    """`click.option` under a heading."""
    return click.option(*declarations, cls=GroupedOption, group=group, **attributes)


def argument(
    *declarations: str, group: str = "Input", help: str = "", **attributes: Any
) -> Callable[[Decorated], Decorated]:
    """`click.argument` with a line of help, under a heading."""
    return click.argument(*declarations, cls=DescribedArgument, group=group, help=help, **attributes)


class Command(click.Command):
    """A command whose help begins with one sentence and real examples, and ends with the exit codes.

    The function may return an exit code; None is 0.  What it raises becomes one sentence and an exit code here.

    Args: examples: (command line, what it is for), at least three for a command of ours.
          exit_codes: those that the command can end with.
    """

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[tuple[str, str]] = (),
        exit_codes: Sequence[int] = USUAL_EXIT_CODES,
        **attributes: Any,
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.examples = tuple(examples)
        self.exit_codes = tuple(exit_codes)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sentence, _, rest = (self.help or "").strip().partition("\n\n")
        formatter.width = max(formatter.width, 40)
        if sentence:
            formatter.write_text(" ".join(sentence.split()))
            formatter.write_paragraph()
        self._format_examples(formatter)
        self.format_usage(ctx, formatter)
        if rest:
            formatter.write_paragraph()
            formatter.write_text("\n\n".join(" ".join(part.split()) for part in rest.split("\n\n")))
        self.format_options(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), problems.EXIT_CODES[code]) for code in self.exit_codes])

    def _format_examples(self, formatter: click.HelpFormatter) -> None:
        if not self.examples:
            return
        width = max(len(line) for line, _ in self.examples) + 2
        aligned = 2 + width + max(len(purpose) for _, purpose in self.examples) <= max(formatter.width, 78)
        for line, purpose in self.examples:
            # A line to paste is never folded; where it leaves no room its purpose goes above it.
            formatter.write(f"  {line:{width}}{purpose}\n" if aligned else f"  # {purpose}\n  {line}\n")
        formatter.write_paragraph()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Help"), []).append(record)
        groups["Help"] = groups.pop("Help", [])
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:  # told apart here, because click would take any for a closed standard output
            raise problems.broken_pipe(error) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        program = prog_name or self.name or "ccsds"
        if sys.stdout is None:  # closed by whoever started us: nobody wants to read it
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the end of the process)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            _flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the one place where errors become exit codes)
            _leave(error, program)
        sys.exit(code if isinstance(code, int) else problems.DONE)


class Group(Command, click.Group):
    """A command that holds commands, with the same help page."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            near = nearest(name, self.list_commands(ctx))
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"there is no command '{name}'{hint}", ctx)
        return super().resolve_command(ctx, args)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        problem = problems.broken_pipe(error) if isinstance(error, BrokenPipeError) else error
        problems.silence_output()
        raise problem from None


def _leave(error: BaseException, program: str) -> NoReturn:
    if problems.wants_traceback(error):
        traceback.print_exception(error)
    sys.exit(problems.report(error, program))


def nearest(name: str, candidates: Iterable[str], *, limit: int = 3) -> list[str]:
    """The candidates that look like `name`, best first, for "did you mean"."""
    import difflib

    by_lower = {candidate.lower(): candidate for candidate in candidates}
    wanted = name.lower()
    found = [lower for lower in by_lower if wanted and lower.startswith(wanted)]
    found += [lower for lower in difflib.get_close_matches(wanted, by_lower, limit, 0.6) if lower not in found]
    return [by_lower[lower] for lower in found[:limit]]


def console() -> Console:
    """The console for results, on standard output: plain text and room enough when it is not a terminal."""
    return _make_console(stderr=False)


def error_console() -> Console:
    """The console for progress and warnings, on standard error."""
    return _make_console(stderr=True)


def _make_console(*, stderr: bool) -> Console:
    import rich.console

    class OurConsole(rich.console.Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 (called while BrokenPipeError is handled; rich would end the program here)

    stream = sys.stderr if stderr else sys.stdout
    terminal = stream is not None and stream.isatty()
    columns = os.environ.get("COLUMNS", "")
    width = None if terminal or columns.isdecimal() else COLUMNS_WITHOUT_TERMINAL
    plain = not terminal or bool(os.environ.get("NO_COLOR"))
    return OurConsole(
        stderr=stderr,
        width=width,
        color_system=None if plain else "auto",
        force_terminal=terminal,
        highlight=False,
        markup=False,  # file names hold brackets
        emoji=False,
    )


def count(value: int, *, style: str = "") -> Text:
    """A number for a table: thousands set apart, zero dimmed, anything else in `style`."""
    from rich.text import Text

    return Text(f"{value:,}", style=style if value else "dim", justify="right")
