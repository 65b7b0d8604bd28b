"""`ccsds dissect`: any unit field by field, on a terminal, in a pipe, or as JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click
from click.shell_completion import CompletionItem

from ccsds.cli import style
from ccsds.cli.problems import InputProblem

if TYPE_CHECKING:
    from ccsds.interop.dissection import Dissection

__all__ = ["UnitName", "command", "octets_of", "octets_of_text"]

MAXIMUM_INPUT_OCTETS = 64 << 20
_HEX_NOISE = re.compile(rb"0x|[\s:,_-]", re.IGNORECASE)
_HEX = re.compile(rb"(?:[0-9a-f]{2})*", re.IGNORECASE)
_COLUMNS = {"bit": "dim", "bits": "dim", "field": "bold", "value": "cyan", "binary": "", "meaning": "", "clause": "dim"}
_WIDE_TERMINAL = 120  # columns; below, a clause beside every field would fold the rest
EXAMPLES = (
    ("ccsds dissect 0801c0000001cafe", "a packet, field by field"),
    ("ccsds dissect frames.bin --length 1115 --fecf --packets", "the first frame of a file, and its packets"),
    ("ccsds encode clcw virtual_channel_id=2 report_value=9 | ccsds dissect - --json", "what another command made"),
)


class UnitName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5 only
    """The name of a unit, completed by the shell; the nearest names where there is none."""

    name = "unit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ccsds.interop.dissection import unit_kind

        try:
            return unit_kind(str(value)).name
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from ccsds.interop.dissection import UNITS

        return [
            CompletionItem(name, help=kind.description) for name, kind in UNITS.items() if name.startswith(incomplete)
        ]


def octets_of_text(content: bytes) -> bytes | None:
    """The octets that hex text spells; None for anything else.  0x, colons, commas and white space are allowed."""
    bare = _HEX_NOISE.sub(b"", content)
    return bytes.fromhex(bare.decode("ascii")) if _HEX.fullmatch(bare) else None


def octets_of(words: tuple[str, ...], form: str) -> bytes:
    """The octets that the words of a command line mean: a file, - or nothing for standard input, else hex.

    Args: form: "hex" or "binary" says what a file holds; "auto" takes it for hex text if it can be.
    """
    if words in ((), ("-",)):
        return _content(_read(sys.stdin.buffer, "standard input"), form, "standard input")
    if len(words) == 1 and os.path.exists(words[0]):
        try:
            with Path(words[0]).open("rb") as file:
                return _content(_read(file, words[0]), form, words[0])
        except OSError as error:
            raise InputProblem(f"{words[0]}: {(error.strerror or str(error)).lower()}") from None
    octets = octets_of_text(" ".join(words).encode())
    if octets is None:
        shown = " ".join(words)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise InputProblem(f"{shown!r} is neither a file nor hex octets, two digits each")
    return octets


def _read(stream: BinaryIO, name: str) -> bytes:
    """All of a small file; a large one is refused, because units are small and it may have no end."""
    content = stream.read(MAXIMUM_INPUT_OCTETS + 1)
    if len(content) > MAXIMUM_INPUT_OCTETS:
        size = MAXIMUM_INPUT_OCTETS >> 20
        raise InputProblem(f"{name} has more than {size} MiB: cut out what is to be looked at (tail -c +N | head -c M)")
    return content


def _content(content: bytes, form: str, name: str) -> bytes:
    octets = None if form == "binary" else octets_of_text(content)
    if octets is None and form == "hex":
        raise InputProblem(f"{name} does not hold hex octets, two digits each")
    return content if octets is None else octets


@click.command(cls=style.Command, examples=EXAMPLES)
@style.argument(
    "octets", nargs=-1, metavar="HEX|FILE|-", group="Input", help="hexadecimal, a file, or - for standard input"
)
@style.option("--unit", type=UnitName(), help="what the octets are; guessed if left out", group="Input")
@style.option("--offset", type=click.IntRange(min=0), default=0, metavar="N", help="skip N octets first", group="Input")
@style.option("--length", type=click.IntRange(min=1), metavar="N", help="take N octets only", group="Input")
@style.option("--packets", is_flag=True, help="go into the packets that start in a frame", group="Output")
@style.option("--fecf/--no-fecf", default=None, help="frame error control field; found out if left out", group="Frame")
@style.option("--fecf-32", is_flag=True, help="USLP: the 32-bit field of older issues", group="Frame")
@style.option(
    "--segment-header/--no-segment-header", default=None, help="TC: segment header; none if left out", group="Frame"
)
@style.option("--fhec/--no-fhec", default=False, help="AOS: frame header error control", group="Frame")
@style.option("--ocf/--no-ocf", default=False, help="AOS: operational control field", group="Frame")
@style.option(
    "--insert-zone",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="AOS, USLP: octets of insert zone",
    group="Frame",
)
@style.option(
    "--issue",
    type=click.IntRange(1, 5),
    default=5,
    show_default=True,
    help="AOS: issue of CCSDS 732.0-B; spacecraft from before October 2025 want 4",
    group="Frame",
)
@style.option(
    "--data-field",
    type=click.Choice(["m-pdu", "b-pdu", "octets"]),
    default="m-pdu",
    show_default=True,
    help="AOS: what the data field holds",
    group="Frame",
)
@style.option(
    "--secondary-header",
    type=click.IntRange(min=2),
    metavar="N",
    help="TM: octets of a secondary header whose length field lies",
    group="Frame",
)
@style.option(
    "--randomizer/--no-randomizer", default=None, help="CLTU: randomized; found out if left out", group="Frame"
)
@style.option("--hex", "form", flag_value="hex", help="the file or standard input is hex text", group="Input")
@style.option("--binary", "form", flag_value="binary", help="the file or standard input is raw octets", group="Input")
@style.option("--json", "as_json", is_flag=True, help="write JSON", group="Output")
def command(
    octets: tuple[str, ...],
    unit: str | None,
    offset: int,
    length: int | None,
    packets: bool,
    fecf: bool | None,
    fecf_32: bool,
    segment_header: bool | None,
    fhec: bool,
    ocf: bool,
    insert_zone: int,
    issue: int,
    data_field: str,
    secondary_header: int | None,
    randomizer: bool | None,
    form: str | None,
    as_json: bool,
) -> None:
    """Show a unit field by field: bit offset, bits, value, meaning and clause.

    Damaged octets are shown as far as they go, with what is wrong with them.
    """
    from ccsds.interop.dissection import dissect

    whole = octets_of(octets, form or "auto")[offset:]
    if not whole:
        raise InputProblem(f"no octets from offset {offset} on" if offset else "no octets")
    found = dissect(
        whole if length is None else whole[:length],
        unit,
        packets=packets,
        frame_error_control_present=fecf,
        frame_error_control_octets=4 if fecf_32 else None,
        segment_header_present=segment_header,
        frame_header_error_control_present=fhec,
        operational_control_field_present=ocf,
        insert_zone_octets=insert_zone,
        issue=issue,
        data_field=data_field,
        secondary_header_octets=secondary_header,
        randomized=randomizer,
    )
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    elif sys.stdout.isatty():
        _show(found)
    else:
        click.echo(str(found))


def _show(found: Dissection) -> None:
    """The same table for people, as wide as their terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")  # no bold either
    table = Table(box=None, pad_edge=False, header_style="bold")
    wide = console.width >= _WIDE_TERMINAL
    for name, look in _COLUMNS.items():
        if wide or name != "clause":
            justify: Literal["left", "right"] = "right" if name in ("bit", "bits") else "left"
            table.add_column(name, style=look, justify=justify, overflow="fold", no_wrap=name == "field")
    for field in found.fields:
        meaning = escape(field.meaning)
        row = [str(field.bit_offset), str(field.bits), field.name, field.shown_value(), field.bit_string]
        row.append(f"[bold red]{meaning}[/]" if "WRONG" in meaning else meaning)
        table.add_row(*row, *[field.clause] * wide)
    console.print(f"[bold]{found.unit}[/], {len(found.octets)} octets", highlight=False)
    console.print(table)
    for problem in found.problems:
        console.print(f"[bold red]problem:[/] {escape(problem)}", highlight=False)
    for note in found.notes:
        console.print(f"[dim]note: {escape(note)}[/]", highlight=False)
