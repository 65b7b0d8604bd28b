"""The loop of `ccsds command`: ports, clock, views and the trace around a CommandSession."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click

from ccsds.cli import style
from ccsds.cli.command_view import MOST_ROWS, TraceBook
from ccsds.cli.link_ports import DOWNLINK_PORT, Clock, Outlet, closing, receiving_port, sending_port
from ccsds.cli.port_source import is_address
from ccsds.link.command_trace import TraceEvent, trace_from_lines, trace_line

if TYPE_CHECKING:
    from ccsds.link.commanding import CommandSession
    from netmap_io.port import Port

__all__ = ["Place", "Run", "show"]

WAIT_S: Final = 0.05
IDLE_NS: Final = 200_000_000
IDLE_OCTETS: Final = 64


class Feeds(Protocol):
    """Gives units to the session."""

    @property
    def unsent(self) -> int:
        """How many wait."""

    def feed(self, now_ns: int) -> None:
        """As many as there is room for."""


class Place:
    """Where CLTUs go, a port or a file, and where frames come from."""

    def __init__(self, to: str, from_: str | None) -> None:
        self.to = to
        self.is_file = not to.isdecimal() and not is_address(to)
        self.from_ = from_ if from_ is not None or self.is_file else DOWNLINK_PORT

    @property
    def has_downlink(self) -> bool:
        """Whether CLCWs may come."""
        return self.from_ is not None

    def open(self) -> tuple[Port | None, Port | None]:
        """(to send to, to receive from); what is None is a file, or is not there."""
        receives = None if self.from_ is None else receiving_port(self.from_, "--from")
        try:
            return None if self.is_file else sending_port(self.to, "--to"), receives
        except BaseException:
            if receives is not None:
                receives.close()
            raise


class Run:
    """A session at work until all is done, the time is over, or Ctrl-C."""

    def __init__(
        self,
        session: CommandSession,
        place: Place,
        *,
        as_json: bool,
        trace: str | None,
        packets: str | None,
        timeout_s: float,
        watch: bool,
    ) -> None:
        self.session, self._place = session, place
        self._as_json, self._trace_name, self._packets_name, self._watch = as_json, trace, packets, watch
        self._timeout_ns = int(timeout_s * 1e9)
        self._book = TraceBook()
        self._clock = Clock()
        self._next_idle_ns = 0
        self.unsent = 0

    def run(self, start: Callable[[int], None], feeder: Feeds) -> bool:
        """Returns True where it was interrupted; what came until then is told all the same."""
        interrupted = False
        with ExitStack() as stack:
            sends, receives = self._place.open()
            stack.enter_context(closing([sends, receives]))
            outlet = Outlet(sends, self._place.to if self._place.is_file else None)
            stack.callback(outlet.close)
            trace = stack.enter_context(open(self._trace_name, "w", encoding="utf-8")) if self._trace_name else None
            packets = stack.enter_context(open(self._packets_name, "wb")) if self._packets_name else None
            tell = stack.enter_context(self._view())

            def tell_all() -> None:
                while (event := self.session.poll_event()) is not None:
                    if trace is not None:
                        trace.write(trace_line(event) + "\n")
                        trace.flush()
                    tell(event)
                while (packet := self.session.poll_packet()) is not None:
                    if packets is not None:
                        packets.write(packet)
                        packets.flush()

            try:
                start(self._clock.now_ns())
                self._loop(outlet, receives, feeder, tell_all)
            except KeyboardInterrupt:  # under --watch the usual end
                interrupted = not (self._watch and self.session.is_done and not feeder.unsent)
            self.session.close(now_ns=self._clock.now_ns())
            self.unsent = feeder.unsent
            tell_all()
        self._summary(interrupted)
        return interrupted

    def complaint(self) -> str:
        """One sentence: what was not acknowledged, and why."""
        session = self.session
        parts = []
        missing = [command for command in session.commands.values() if not command.is_successful]
        if missing:
            steps = sorted({command.step + (f" ({command.alert})" if command.alert else "") for command in missing})
            parts.append(f"{len(missing)} of {len(session.commands)} commands not acknowledged: {', '.join(steps)}")
        if self.unsent:
            parts.append(f"{self.unsent} more were never taken up")
        if session.failed_directives:
            parts.append(f"{session.failed_directives} directives failed")
        if not session.clcws and self._place.has_downlink:
            what = "frames, but no CLCW of it," if session.counters.frames else "no frame of this mission"
            parts.append(f"{what} came down from {self._place.from_}: does the spacecraft send there?")
        return "; ".join(parts or ["a directive was not answered in time"])

    def _loop(self, outlet: Outlet, receives: Port | None, feeder: Feeds, tell_all: Callable[[], None]) -> None:
        session, clock = self.session, self._clock
        deadline = clock.now_ns() + self._timeout_ns
        while True:
            now = clock.now_ns()
            session.handle_timeout(now)
            feeder.feed(now)
            blocks = session.poll_radiate(now)
            if blocks:
                self._next_idle_ns = now + IDLE_NS
            elif now >= self._next_idle_ns and not self._place.is_file:
                self._next_idle_ns = now + IDLE_NS
                blocks = session.idle(IDLE_OCTETS) if outlet.is_empty else []
            outlet.send(blocks)
            tell_all()
            done = session.is_done and not feeder.unsent and outlet.is_empty
            if now >= deadline or ((done or session.is_stuck) and not self._watch):
                return
            self._receive(receives, now)

    def _receive(self, receives: Port | None, now_ns: int) -> None:
        """Wait for frames, but not past the next timer."""
        due = [instant for instant in (self.session.poll_timeout(), self.session.ready_ns(now_ns)) if instant]
        wait = min([WAIT_S, *(max(0.001, (instant - now_ns) / 1e9) for instant in due)])
        if receives is None or receives.exhausted:
            import time

            time.sleep(wait)
            return
        for frame in receives.receive(256, wait):
            self.session.handle_downlink(bytes(frame), now_ns=self._clock.now_ns())

    @contextmanager
    def _view(self) -> Iterator[Callable[[TraceEvent], None]]:
        if self._as_json:
            yield lambda event: click.echo(trace_line(event))
        elif sys.stdout.isatty():
            from rich.live import Live

            with Live(console=style.console(), refresh_per_second=8) as live:

                def tell(event: TraceEvent) -> None:
                    self._book.line(event)
                    live.update(self._book.tables(MOST_ROWS))

                yield tell
        else:
            yield lambda event: click.echo(self._book.line(event))

    def _summary(self, interrupted: bool) -> None:
        session, counters = self.session, self.session.counters
        good = sum(command.is_successful for command in session.commands.values())
        if self._as_json:
            summary = {
                "kind": "summary",
                "commands": len(session.commands),
                "successful": good,
                "unsent": self.unsent,
                "failed_directives": session.failed_directives,
                "cltus": session.cltus,
                "interrupted": interrupted,
                "downlink": {name: getattr(counters, name) for name in counters.__struct_fields__},
            }
            click.echo(json.dumps(summary))
            return
        begin = "interrupted: " if interrupted else ""
        told = f"{good} of {len(session.commands)} commands came to a good end; " if session.commands else ""
        click.echo(f"{begin}{told}{session.cltus} CLTUs up, {counters.frames} frames down, {counters.clcws} CLCWs used")


def show(name: str) -> None:
    """Tables of a trace that was kept."""
    book = TraceBook()
    with open(name, encoding="utf-8", errors="replace") as file:
        for event in trace_from_lines(file):
            book.line(event)
    style.console().print(book.tables())
