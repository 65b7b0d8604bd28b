"""`netmap-io doctor`: what this machine offers for frames, and what to do about the rest."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from ccsds.cli import style

if TYPE_CHECKING:
    from netmap_io.doctor.finding import Finding

__all__ = ["command"]

STYLES = {"good": "green", "limited": "yellow", "absent": "red", "unknown": "dim"}


@click.command(
    cls=style.Command,
    examples=[
        ("netmap-io doctor", "machine and interfaces"),
        ("netmap-io doctor --interface eth0", "one interface"),
        ("netmap-io doctor --json", "the same for a machine"),
    ],
    exit_codes=(0, 1, 2),
)
@style.option("--interface", group="Choice", metavar="NAME", help="only what concerns this interface")
@style.option("--json", "as_json", group="Output", is_flag=True, help="as JSON, and only that")
def command(interface: str | None, as_json: bool) -> None:
    """What this machine offers for frames, and what to do about the rest.

    Nothing is changed, no program is run and no privileges are needed; what is tried is harmless and says "(tried)".
    """
    from netmap_io.doctor import interfaces, machine

    found = machine.findings() + interfaces.findings()
    if interface is not None:
        names = {each.name for each in interfaces.interfaces()}
        if interface not in names:
            near = style.nearest(interface, names) or sorted(names)
            raise click.UsageError(
                f"there is no interface '{interface}' here; there is {', '.join(near)}", click.get_current_context()
            )
        found = [each for each in found if each.subject == interface]
    if as_json:
        json.dump([each.to_dict() for each in found], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    _print(found)


def _print(found: list[Finding]) -> None:
    from rich.text import Text

    console = style.console()
    subject = ""
    for each in found:
        if each.subject != subject:
            if subject:
                console.print()
            console.print(each.subject, style="bold")
            subject = each.subject
        line = Text("  ")
        line.append(f"{each.state.value:8}", STYLES[each.state.value])
        line.append(f"{each.name}: {each.fact}")
        console.print(line)
        if each.advice:
            console.print(f"          -> {each.advice}")
