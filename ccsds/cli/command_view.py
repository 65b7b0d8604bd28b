"""What a trace looks like to people: a line per event, and two tables, of commands and of CLCWs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccsds.link.command_trace import AlertRaised, ClcwChanged, CommandStep, DirectiveStep, TraceEvent

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["TraceBook", "clcw_words"]

_STYLES = {"acknowledged": "green", "refused": "bold red", "unconfirmed": "bold red", "withdrawn": "yellow"}
MOST_ROWS = 30
"""Of a live view: the last ones."""


def clcw_words(clcw: ClcwChanged) -> str:
    """The report value, FARM-B counter, and the flags that are set."""
    flags = {
        "Lockout": clcw.lockout_flag,
        "Wait": clcw.wait_flag,
        "Retransmit": clcw.retransmit_flag,
        "No RF": clcw.no_rf_available_flag,
        "No bit lock": clcw.no_bit_lock_flag,
    }
    words = [f"N(R) {clcw.report_value}", f"FARM-B {clcw.farm_b_counter}"]
    return ", ".join(words + [name for name, value in flags.items() if value])


class TraceBook:
    """Takes events of a trace in and tells them, one by one or as tables."""

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._commands: dict[int, list[CommandStep]] = {}
        self._clcws: dict[int, ClcwChanged] = {}
        self._remarks: list[str] = []

    def line(self, event: TraceEvent) -> str:
        """Take an event in; the sentence for it."""
        if self._began_ns is None:
            self._began_ns = event.time_ns
        text = f"{self._seconds(event)}  VC {event.virtual_channel_id}  "
        if isinstance(event, CommandStep):
            self._commands.setdefault(event.command, []).append(event)
            return text + f"command {event.command} ({event.mode}) {_command_words(event)}"
        if isinstance(event, ClcwChanged):
            self._clcws[event.virtual_channel_id] = event
            return text + f"CLCW: {clcw_words(event)}" + ("" if event.ours else " (not commanded here)")
        if isinstance(event, AlertRaised):
            text += f"ALERT {event.alert}: {event.reason}"
        elif isinstance(event, DirectiveStep):
            text += f"{event.directive}: {event.step}" + (f", CLTU {event.cltu}" if event.cltu else "")
        self._remarks.append(text)
        return text

    def tables(self, rows: int | None = None) -> Group:
        """Commands, beside them CLCWs, below them alerts and directives; the last `rows` of each."""
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        chosen = self._remarks if rows is None else self._remarks[-6:]
        return Group(Columns([self._command_table(rows), self._clcw_table()], padding=(0, 3)), *map(Text, chosen))

    def _command_table(self, rows: int | None) -> Table:
        from rich.text import Text

        from ccsds.cli.report import make_table

        table = make_table("command", "VC", "octets", "accepted", "radiated", "sent", "outcome")
        for number, steps in list(self._commands.items())[-(rows or len(self._commands) or 1) :]:
            first, last = steps[0], steps[-1]
            radiated = [step for step in steps if step.step == "radiated"]
            outcome = "" if last.step in ("accepted", "radiated") else f"{last.step} {self._seconds(last).strip()}"
            if last.step == "radiated" and last.mode == "BD":
                outcome = "expedited: nobody acknowledges"
            table.add_row(
                f"{number} {first.name}"[:28],
                str(first.virtual_channel_id),
                str(first.octets),
                self._seconds(first).strip(),
                self._seconds(radiated[0]).strip() if radiated else "",
                f"{len(radiated)}x" if radiated else "",
                Text(outcome + (f" {last.alert}" if last.alert else ""), style=_STYLES.get(last.step, "")),
            )
        return table

    def _clcw_table(self) -> Table:
        from ccsds.cli.report import make_table

        table = make_table("VC", "CLCW")
        table.columns[1].justify = "left"
        for channel, clcw in sorted(self._clcws.items()):
            table.add_row(str(channel), clcw_words(clcw))
        return table

    def _seconds(self, event: TraceEvent) -> str:
        return f"{(event.time_ns - (self._began_ns or event.time_ns)) / 1e9:8.3f} s"


def _command_words(event: CommandStep) -> str:
    if event.step == "accepted":
        return f"accepted: {event.octets} octets" + (f", {event.name}" if event.name else "")
    if event.step == "radiated":
        again = f", transmission {event.transmission}" if (event.transmission or 1) > 1 else ""
        twice = f", {event.repetitions} times" if event.repetitions > 1 else ""
        return f"radiated: CLTU {event.cltu}{again}{twice}"
    return event.step + (f": {event.alert}, {event.reason}" if event.alert else "")
