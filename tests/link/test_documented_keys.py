"""docs/missions.md and docs/replay-json.md name each key there is, in order, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ccsds.frames.tc import TcTransferFrame
from ccsds.link import managed_parameters
from ccsds.link.receiver import receive
from ccsds.packets.space_packet import SpacePacket
from ccsds.testing.impaired_stream import FrameType, TransmitterParameters, VirtualChannelTraffic, transmit
from ccsds.testing.receiving_end import ReceiverSettings, channel_of

DOCS = Path(__file__).parents[2] / "docs"


def tables(page: str) -> dict[str, list[list[str]]]:
    """Rows of the table under each heading, cells without backticks."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.strip("# `")
        elif line.startswith("| `"):
            found.setdefault(heading, []).append([cell.strip(" `") for cell in line.strip("|").split("|")])
    return found


def shown(field: msgspec.structs.FieldInfo) -> str:
    default = field.default
    if default is msgspec.NODEFAULT:
        return "required" if field.default_factory is msgspec.NODEFAULT else "empty"
    if default is None:
        return "absent"
    if default in ((), ""):
        return "empty"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return str(list(default))
    return f'"{default}"' if isinstance(default, str) else str(default)


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("At the top", "Mission"),
        ("[physical_channel]", "PhysicalChannel"),
        ("[physical_channel.synchronization]", "Synchronization"),
        ("[physical_channel.reed_solomon]", "ReedSolomon"),
        ("[physical_channel.command_coding]", "CommandCoding"),
        ("[[physical_channel.master_channels]]", "MasterChannel"),
        ("[[physical_channel.master_channels.virtual_channels]]", "VirtualChannel"),
        ("[[physical_channel.master_channels.virtual_channels.maps]]", "Map"),
        ("[physical_channel.master_channels.virtual_channels.cop_1]", "Cop1"),
    ],
)
def test_the_page_of_profiles_has_each_key_with_its_default(heading: str, name: str) -> None:
    node = getattr(managed_parameters, name)
    rows = tables("missions.md")[heading]
    shared = managed_parameters._Sharing.__struct_fields__  # inherited, so first; the page has them last
    fields = sorted(msgspec.structs.fields(node), key=lambda field: field.name in shared)
    assert [(row[0], row[2]) for row in rows] == [(field.name, shown(field)) for field in fields]
    for key, allowed, _, meaning in rows:
        assert allowed
        assert meaning
        if limits := re.fullmatch(r"(\d+) to (\d+)", allowed):
            schema = msgspec.json.schema(node)["$defs"][name]["properties"][key]
            for choice in schema.get("anyOf", [schema]):
                if choice.get("type") == "integer":
                    assert [choice["minimum"], choice["maximum"]] == [int(limit) for limit in limits.groups()]


def report() -> Any:
    """With a row in every table: TM, markers, encapsulation packets."""
    sent = TransmitterParameters(
        frame_type=FrameType.TM,
        spacecraft_id=1,
        virtual_channels=(VirtualChannelTraffic(virtual_channel_id=0, encapsulation_share=0.5),),
    )
    return receive(transmit(sent, seed=1, frames=20).octets, channel_of(sent, ReceiverSettings())).account.to_dict()


def report_of_tc() -> Any:
    """With a row for sequences and MAPs."""
    frame = TcTransferFrame(spacecraft_id=1, virtual_channel_id=2, transfer_frame_data_unit=b"x").encode()
    channel = managed_parameters.PhysicalChannel(frame_type="TC", frame_octets=1024)
    return receive(frame, channel).account.to_dict()


def test_the_page_of_the_json_has_each_key() -> None:
    documented = {heading: [row[0] for row in rows] for heading, rows in tables("replay-json.md").items()}
    made, of_tc = report(), report_of_tc()
    assert sorted(made) == sorted(of_tc)
    assert sorted(made["totals"]) == sorted(of_tc["totals"])
    assert sorted(made["virtual_channels"][0]) == sorted(of_tc["virtual_channels"][0])
    made |= {name: of_tc[name] for name in ("sequences", "maps")}
    assert sorted(documented.pop("The report")) == sorted(made)
    for heading, keys in documented.items():
        rows = made[heading] if isinstance(made[heading], list) else [made[heading]]
        assert rows
        for row in rows:
            assert sorted(row) == sorted(keys), heading
    assert set(documented) == {name for name, value in made.items() if isinstance(value, list | dict)} - {"warnings"}


def test_a_packet_file_has_the_same_keys() -> None:
    packets = SpacePacket(application_process_id=1, packet_data_field=b"x").encode()
    mission = managed_parameters.Mission(name="packets")
    other, made = receive(packets, mission).account.to_dict(), report()
    assert sorted(other["totals"]) == sorted(made["totals"])
    for table in ("virtual_channels", "application_processes"):
        assert sorted(other[table][0]) == sorted(made[table][0])
