"""`netmap-io ports`: drivers, wrappers and their options; interfaces."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ccsds.cli import style

__all__ = ["command"]


@click.command(
    cls=style.Command,
    examples=[
        ("netmap-io ports", "all of it"),
        ("netmap-io ports pcap", "one driver's options"),
        ("netmap-io ports --json", "the same for a machine"),
    ],
    exit_codes=(0, 1, 2),
)
@style.argument("name", required=False, group="Choice", metavar="[NAME]", help="a driver or wrapper: only that")
@style.option("--json", "as_json", group="Output", is_flag=True, help="as JSON, and only that")
def command(name: str | None, as_json: bool) -> None:
    """Drivers and wrappers with their options, and this machine's interfaces."""
    document = _document(name)
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for kind in ("drivers", "wrappers"):
        for row in document[kind]:
            click.echo(f"{row['name']}{'+' if kind == 'wrappers' else ':'}  {row['summary']}")
            for option in row["options"]:
                click.echo(f"    {option['name']} = {_values(option)}")
    if "interfaces" in document:
        _print_interfaces(document["interfaces"])


def _document(name: str | None) -> dict[str, Any]:
    from netmap_io.cli.option_probe import options_of_driver, options_of_wrapper
    from netmap_io.port import driver_functions
    from netmap_io.wrappers.address import WRAPPERS

    functions = driver_functions()
    known = [*functions, *WRAPPERS]
    if name is not None and name not in known:
        near = style.nearest(name, known)
        hint = f"; did you mean {' or '.join(near)}?" if near else f"; there is {', '.join(sorted(known))}"
        raise click.UsageError(f"there is no driver or wrapper '{name}'{hint}", click.get_current_context())
    document: dict[str, Any] = {
        "drivers": [
            _row(each, function.__doc__, options_of_driver(each, function))
            for each, function in sorted(functions.items())
            if name in (None, each)
        ],
        "wrappers": [
            _row(each, prepare.__doc__, options_of_wrapper(each, prepare))
            for each, prepare in WRAPPERS.items()
            if name in (None, each)
        ],
    }
    if name is None:
        from netmap_io.doctor.interfaces import interfaces

        document["interfaces"] = [each.to_dict() for each in interfaces()]
    return document


def _row(name: str, documentation: str | None, options: list[Any]) -> dict[str, Any]:
    summary = " ".join((documentation or "").partition("\n\n")[0].replace("`", "").split())
    return {
        "name": name,
        "summary": summary,
        "options": [
            {"name": each.name, "kind": each.kind, "default": each.default, "values": list(each.values)}
            for each in options
        ],
    }


def _values(option: dict[str, Any]) -> str:
    values = " | ".join(option["values"]) or option["kind"]
    return values if option["default"] is None else f"{values}  [{option['default']}]"


def _print_interfaces(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="")
    for head in ("interface", "MAC", "MTU", "state", "driver"):
        table.add_column(head, no_wrap=True, justify="right" if head == "MTU" else "left")
    for row in rows:
        table.add_row(row["name"], row["mac"] or "-", str(row["mtu"] or "-"), row["state"], row["driver"] or "-")
    click.echo()
    style.console().print(table)
