"""What can go wrong on the command line, and the exit code that tells a script which it was."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import click

from ccsds.errors import CcsdsError, ConfigurationError, EncodeError, ProtocolError

__all__ = [
    "EXIT_CODES",
    "ClosedPipeError",
    "InputProblem",
    "Problem",
    "StrictLoss",
    "UsageProblem",
    "broken_pipe",
    "report",
    "silence_output",
    "wants_traceback",
]

DONE, DEFECT, USAGE, INPUT, LOSSES, UNACKNOWLEDGED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        DONE: "done, damage in the data included",
        DEFECT: "a defect of ours; please report it",
        USAGE: "wrong use, or a mission profile that does not hold",
        INPUT: "input that cannot be read or recognised",
        LOSSES: "losses, under --strict",
        UNACKNOWLEDGED: "a command or directive was not acknowledged",
        INTERRUPTED: "interrupted",
    }
)


class Problem(click.ClickException):
    """A message for the user, one sentence, and the exit code that goes with it."""

    exit_code = DEFECT


class UsageProblem(Problem):
    """An option, argument or mission profile that does not hold."""

    exit_code = USAGE


class InputProblem(Problem):
    """Input that cannot be read, or is not what it was taken for."""

    exit_code = INPUT


class StrictLoss(Problem):
    """Something was lost, and --strict asked to be told."""

    exit_code = LOSSES


class ClosedPipeError(Exception):
    """Whoever read our standard output has had enough."""


def report(error: BaseException, program: str) -> int:
    """Say on standard error, in one line, what went wrong; return the exit code for it."""
    if isinstance(error, ClosedPipeError):
        silence_output()
        return DONE
    if isinstance(error, KeyboardInterrupt | click.Abort):
        _say("interrupted", program)
        return INTERRUPTED
    if isinstance(error, click.UsageError):
        return _report_usage(error, program)
    if isinstance(error, click.FileError):  # click's own code for it, 1, is our code for a defect
        _say(error.format_message(), program)
        return INPUT
    if isinstance(error, click.ClickException):
        _say(error.format_message(), program)
        return error.exit_code
    code = _exit_code(error)
    if code == DEFECT:
        hint = f"please report it; {TRACEBACK}=1 shows where"
        _say(f"defect in {program}: {type(error).__name__}: {error} ({hint})", program)
    elif isinstance(error, OSError):
        _say(_os_error(error), program)
    else:
        _say(str(error), program)
    return code


TRACEBACK: Final = "CCSDS_TRACEBACK"
"""The variable of the environment that asks for the traceback of a defect, of either command."""


def wants_traceback(error: BaseException) -> bool:
    """True for a defect of ours when the environment asks for its traceback."""
    if isinstance(error, ClosedPipeError | KeyboardInterrupt | click.Abort | click.ClickException):
        return False
    return _exit_code(error) == DEFECT and os.environ.get(TRACEBACK, "") not in ("", "0")


def broken_pipe(error: BrokenPipeError) -> Exception:
    """ClosedPipeError where standard output has no reader any more; InputProblem where a port has no peer."""
    return ClosedPipeError() if _stdout_has_no_reader() else InputProblem(_os_error(error))


def _stdout_has_no_reader() -> bool:
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # not a real file: replaced by a test, or closed already
        return True
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ConfigurationError | EncodeError):
        return USAGE
    if isinstance(error, ProtocolError):  # the caller who is out of turn is this program
        return DEFECT
    if isinstance(error, CcsdsError | OSError):
        return INPUT
    # Told by name: the link layer's errors are not worth an import where no link was opened.
    if any(kind.__module__ == "netmap_io.errors" for kind in type(error).__mro__):
        return USAGE if isinstance(error, ValueError) else INPUT
    return DEFECT


def _report_usage(error: click.UsageError, program: str) -> int:
    context = error.ctx
    name = context.command_path if context else program
    help_line = f" (see '{name} --help')" if context else ""
    _say(error.format_message().rstrip().rstrip(".") + help_line, name)
    return USAGE


def _os_error(error: OSError) -> str:
    reason = (error.strerror or str(error)).rstrip(".")
    reason = reason[:1].lower() + reason[1:]
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, str | bytes) else reason


def _say(message: str, program: str) -> None:
    if sys.stderr is None:  # closed by whoever started us
        return
    line = " ".join(message.split())
    try:
        print(f"{program}: {line}", file=sys.stderr, flush=True)
    except OSError:  # nobody can read our complaints; the exit code says it all the same
        _silence(sys.stderr)


def silence_output() -> None:
    """Let go of what standard output still holds: it cannot be written."""
    _silence(sys.stdout)


def _silence(stream: object) -> None:
    """Point a broken standard stream to nowhere, so that the flush at exit does not complain once more."""
    for number, original in ((1, sys.__stdout__), (2, sys.__stderr__)):
        if stream is original and original is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
