"""The account as people read it: a table per virtual channel and per application process, remarks, a closing line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ccsds.cli.style import count
from ccsds.link.account import Account, channel_name, counted, map_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["closing_line", "make_table", "print_account", "print_table"]

LOSS = "bold red"
_PROCESS_ROWS = 60


def print_account(account: Account, console: Console, *, elapsed_s: float, octets: int, whole: bool = True) -> None:
    """Print the tables, what the numbers do not say, and the closing line."""
    if account.virtual_channels:
        print_table(console, _channels(account))
    rows = account.application_processes
    if rows:
        console.print()
        print_table(console, _processes(rows[:_PROCESS_ROWS]))
        if len(rows) > _PROCESS_ROWS:
            console.print(f"... and {len(rows) - _PROCESS_ROWS} more application processes; --json has them all")
    if account.encapsulation:
        console.print()
        print_table(console, _protocols(account.encapsulation))
    if account.maps:
        console.print()
        print_table(console, _maps(account.maps))
    remarks = account.remarks()
    if remarks:
        console.print()
    for remark in remarks:
        console.print(f"- {remark}")
    console.print()
    console.print(closing_line(account, elapsed_s=elapsed_s, octets=octets, whole=whole))


def closing_line(account: Account, *, elapsed_s: float, octets: int, whole: bool) -> str:
    """Frames, packets, losses, seconds, rate."""
    totals = account.totals
    frames = f"{counted(totals['frames'], 'frame{s}')}, " if totals["records"] else ""
    lost = account.losses() if totals["records"] else ""
    parts = [f"{frames}{counted(totals['packets'], 'packet{s}')}", *([lost] if lost else [])]
    rate = octets / elapsed_s / 1e6 if elapsed_s > 0 else 0.0
    parts.append(f"{octets:,} octets in {elapsed_s:.2f} s ({rate:,.1f} MB/s)")
    return ("" if whole else "interrupted after ") + "; ".join(parts)


def _channels(account: Account) -> Table:
    table = make_table("channel", "frames", "repeated", "gaps", "lost", "idle", "packets", "octets", "idle packets")
    for row in account.virtual_channels:
        lost = count(row["lost_frames"], style=LOSS)
        if account.aliasing and row["lost_frames"]:
            lost = _text(f"at least {row['lost_frames']:,}", LOSS)
        table.add_row(
            channel_name(row),
            count(row["frames"]),
            count(row["repeated_frames"]),
            count(row["counter_gaps"], style=LOSS),
            lost,
            *(count(row[name]) for name in ("only_idle_data_frames", "packets", "packet_octets", "idle_packets")),
        )
    return table


def _maps(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = make_table("MAP", "frames", "packets", "octets", "access units", "octets", "stream octets", "thrown away")
    for row in rows:
        names = ("packets", "packet_octets", "access_units", "access_unit_octets", "octet_stream_octets")
        lost = count(row["discarded_octets"], style=LOSS)
        table.add_row(map_name(row), count(row["frames"]), *(count(row[name]) for name in names), lost)
    return table


def _processes(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = make_table("channel", "APID", "packets", "octets", "gaps", "missing")
    for row in rows:
        table.add_row(
            channel_name(row),
            str(row["application_process_id"]),
            count(row["packets"]),
            count(row["packet_octets"]),
            count(row["sequence_gaps"], style=LOSS),
            count(row["missing_packets"], style=LOSS),
        )
    return table


def _protocols(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = make_table("channel", "encapsulated protocol", "packets", "octets")
    for row in rows:
        name = str(row["protocol_id"]) if row["protocol_id"] else "0 (idle)"
        table.add_row(channel_name(row), name, count(row["packets"]), count(row["packet_octets"]))
    return table


def _text(text: str, style: str) -> Text:
    from rich.text import Text

    return Text(text, style=style, justify="right")


def make_table(*heads: str) -> Table:
    """A table with these heads: names on the left, numbers on the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table; where it is wider than the console, closer together; where that does not fit either, its rows
    in words, so that no digit is cut off."""
    from rich.measure import Measurement

    wide = console.options.update(max_width=10_000)
    heads = [str(column.header) for column in table.columns]
    for narrower in (False, True):
        if narrower:  # heads on two lines, one space between columns: what fits into 80 columns
            table.padding = (0, 0, 0, 0)
            for column in table.columns:
                column.header = str(column.header).replace(" ", "\n")
        if Measurement.get(console, wide, table).maximum <= console.width:
            console.print(table)
            return
    for first, *cells in zip(*(column.cells for column in table.columns), strict=True):
        told = ", ".join(f"{head} {cell}".strip() for head, cell in zip(heads[1:], cells, strict=True))
        console.print(f"{heads[0]} {first}: {told}")
