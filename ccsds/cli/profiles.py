"""`ccsds profiles`: the missions that are known, and what they do to the standard."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import click

from ccsds.cli import style
from ccsds.cli.mission_name import MissionName
from ccsds.cli.source_options import load_profile

if TYPE_CHECKING:
    from ccsds.link.managed_parameters import Mission, PhysicalChannel, VirtualChannel

__all__ = ["command"]


@click.command(
    cls=style.Command,
    examples=[
        ("ccsds profiles", "all missions, a line each"),
        ("ccsds profiles snpp", "one mission, all its managed parameters"),
        ("ccsds profiles snpp --toml > mine.toml", "a file of your own to begin with"),
    ],
)
@style.argument("mission", group="Input", required=False, type=MissionName(), help="slug or TOML file; none: list all")
@style.option("--toml", "as_toml", group="Output", is_flag=True, help="the profile as it is written")
@style.option("--json", "as_json", group="Output", is_flag=True, help="all parameters, defaults included, as JSON")
def command(mission: str | None, as_toml: bool, as_json: bool) -> None:
    """Mission profiles that ship with the package, or a check of one of your own."""
    import msgspec

    from ccsds.link.missions import load_mission, mission_names

    if mission is None:
        missions = {name: load_mission(name) for name in mission_names()}
        if as_json:
            _print_json({name: msgspec.to_builtins(each) for name, each in missions.items()})
        else:
            _print_list(missions)
        return
    profile = load_profile(mission)
    if as_toml:
        sys.stdout.write(_text(mission))
    elif as_json:
        _print_json(msgspec.to_builtins(profile))
    else:
        _print_profile(profile)


def _text(mission: str) -> str:
    shipped = files("ccsds").joinpath("missions", f"{mission}.toml")
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    with open(mission, encoding="utf-8") as stream:
        return stream.read()


def _print_json(tree: object) -> None:
    json.dump(tree, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _print_list(missions: dict[str, Mission]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in ("slug", "mission", "recordings hold", "spacecraft"):
        table.add_column(head)
    for name, mission in missions.items():
        channel = mission.physical_channel
        masters = channel.master_channels if channel else ()
        spacecraft = ", ".join(str(master.spacecraft_id) for master in masters)
        table.add_row(name, mission.name, _holds(channel), spacecraft)
    style.console().print(table)


def _holds(channel: PhysicalChannel | None) -> str:
    if channel is None:
        return "space packets"
    most = "" if channel.fixed_frame_length else "at most "
    frames = f"{channel.frame_type} frames of {most}{channel.frame_octets} octets"
    parts = [frames]
    if channel.reed_solomon:
        code = channel.reed_solomon
        parts.append(f"RS(255,{255 - 2 * code.error_correction}) I={code.interleaving_depth}")
    if channel.randomizer:
        parts.append(f"{channel.randomizer} randomizer")
    if channel.synchronization:
        parts.append(f"marker {channel.synchronization.marker}")
    return ", ".join(parts)


def _print_profile(mission: Mission) -> None:
    console = style.console()
    console.print(f"{mission.name}: {_holds(mission.physical_channel)}")
    console.print(mission.description)
    if mission.source:
        console.print(f"Source: {mission.source}")
    channel = mission.physical_channel
    if channel is None:
        return
    console.print()
    for name in ("frame_error_control", "checked_before", "header_error_control", "insert_zone_octets"):
        console.print(f"{name} = {getattr(channel, name)}")
    console.print(f"deinterleaving_depth = {channel.deinterleaving_depth}")
    if channel.frame_type == "AOS":
        console.print(f"standard_issue = {channel.issue}")
    for master in channel.master_channels:
        console.print(f"\nspacecraft {master.spacecraft_id} {master.name}")
        for virtual_channel in master.virtual_channels:
            console.print(f"  {_channel_line(virtual_channel)}")
    for warning in channel.warnings():
        console.print(f"\nwarning: {warning}")


def _channel_line(channel: VirtualChannel) -> str:
    """A virtual channel, and what it does differently from the defaults."""
    import msgspec

    default = msgspec.structs.asdict(type(channel)(virtual_channel_id=0))
    told = ("virtual_channel_id", "name", "service")
    fields = msgspec.structs.asdict(channel)
    other = [f"{name} = {value}" for name, value in fields.items() if name not in told and value != default[name]]
    return "  ".join([f"{channel.virtual_channel_id:>2}  {channel.service:9}  {channel.name}", *other])
