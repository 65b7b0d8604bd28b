"""Packets as an Arrow table: every column, nulls where there is nothing to say, and the octets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccsds.link.managed_parameters import MasterChannel, PhysicalChannel, VirtualChannel
from ccsds.link.receiver import Reception, receive
from ccsds.packets.space_packet import PRIMARY_HEADER
from ccsds.testing.impaired_stream import FrameType, TransmitterParameters, VirtualChannelTraffic, transmit

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
arrow = pytest.importorskip("ccsds.interop.arrow", reason="pyarrow is not installed")


def reception() -> Reception:
    """Space and encapsulation packets of a TM channel, some of them incomplete: every fifth frame is missing."""
    sent = TransmitterParameters(
        frame_type=FrameType.TM,
        spacecraft_id=3,
        virtual_channels=(VirtualChannelTraffic(virtual_channel_id=2, encapsulation_share=0.4),),
        reed_solomon=None,
        uncoded_frame_octets=200,
    )
    frames = transmit(sent, seed=4, frames=400).frames
    channel = PhysicalChannel(
        frame_type="TM",
        frame_octets=200,
        frame_error_control=True,
        master_channels=(
            MasterChannel(
                spacecraft_id=3,
                virtual_channels=(VirtualChannel(virtual_channel_id=2, deliver_incomplete_packets=True),),
            ),
        ),
    )
    return receive(b"".join(frame for number, frame in enumerate(frames) if number % 5), channel)


def test_the_table_holds_what_the_batch_holds(tmp_path: Path) -> None:
    from pyarrow import parquet

    packets = reception().packets
    table = arrow.packet_table(packets)
    parquet.write_table(table, tmp_path / "packets.parquet")
    assert parquet.read_table(tmp_path / "packets.parquet").equals(table)
    rows: list[dict[str, Any]] = table.to_pylist()
    assert len(rows) == len(packets) > 100
    assert table.column_names == [*packets.names, "octets"]
    incomplete = 0
    for number, row in enumerate(rows):
        octets = bytes(packets.packet_octets(number))
        assert row["octets"] == octets
        assert row["reception_time_ns"] is None
        assert row["complete"] is bool(packets["complete"][number])
        incomplete += not row["complete"]
        has_header = octets[0] >> 5 == 0 and len(octets) >= PRIMARY_HEADER.octets
        assert row["packet_version_number"] == octets[0] >> 5
        header = PRIMARY_HEADER.unpack(octets) if has_header else dict.fromkeys(PRIMARY_HEADER.names)
        for name in PRIMARY_HEADER.names[1:]:
            assert row[name] == header[name]
        for name in ("frame_index", "spacecraft_id", "virtual_channel_id", "lost_frames_before"):
            assert row[name] == packets[name][number]
    assert incomplete > 5


def test_an_empty_batch_has_the_same_schema() -> None:
    packets = reception().packets
    assert arrow.packet_table(packets[:0]).schema == arrow.packet_table(packets).schema
