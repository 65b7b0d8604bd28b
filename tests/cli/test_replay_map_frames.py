"""`ccsds replay` of TC and USLP frames: from a file, lines of hexadecimal, and a port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from ccsds.cli.demo import profile_as_toml
from ccsds.cli.main import cli
from ccsds.link.managed_parameters import Map, Mission
from ccsds.link.receiver import receive
from ccsds.testing.receiving_end import map_channel_of
from ccsds.testing.transmitter.map_frames import Address, MapLink, MapStream, impair_map_frames
from netmap_io.burst import Burst
from netmap_io.payload import udp_frames
from netmap_io.port import open_port

SERVICES: dict[Address, str] = {(0, 0): "packets", (0, 2): "access", (5, 1): "packets"}
LINKS = {
    "TC": MapLink(frame_type="TC", spacecraft_id=99, services=SERVICES | {(7, None): "access"}),
    "USLP": MapLink(
        frame_type="USLP", spacecraft_id=4242, services=SERVICES | {(5, 3): "octet_stream"}, truncated_octets=20
    ),
}


@pytest.fixture(params=LINKS)
def stream(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MapStream:
    made = impair_map_frames(LINKS[request.param], 3, 200, 0)
    monkeypatch.chdir(tmp_path)
    write_profile(made)
    return made


def write_profile(stream: MapStream) -> None:
    channel = map_channel_of(stream.link)
    Path("mine.toml").write_text(profile_as_toml(Mission(name="mine", physical_channel=channel)), encoding="utf-8")


def replay(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["replay", *arguments, "--mission", "mine.toml", "--json"], prog_name="ccsds")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_frames_back_to_back_give_the_truth_and_a_file_per_map(stream: MapStream) -> None:
    Path("frames.bin").write_bytes(stream.octets)
    report = replay("frames.bin", "--packets", "packets", "--services", "services", "--strict")
    assert {row["virtual_channel_id"]: row["frames"] for row in report["virtual_channels"]} == stream.truth.frames
    spacecraft = stream.link.spacecraft_id
    for channel in {address[0] for address in stream.truth.packets}:
        found = Path("packets", f"spacecraft-{spacecraft}-vc-{channel}.packets").read_bytes()
        assert len(found) == sum(len(p) for at, ps in stream.truth.packets.items() for p in ps if at[0] == channel)
    units = {at: b"".join(each) for at, each in stream.truth.access_units.items()} | stream.truth.octet_streams
    for (channel, map_id), octets in units.items():
        of_map = "" if map_id is None else f"-map-{map_id}"
        assert Path("services", f"spacecraft-{spacecraft}-vc-{channel}{of_map}.units").read_bytes() == octets


def test_lines_of_hexadecimal_are_frames(stream: MapStream) -> None:
    Path("frames.bin").write_bytes(stream.octets)
    Path("frames.hex").write_text("\n".join(piece.hex() for piece in stream.pieces))
    assert replay("frames.hex") == replay("frames.bin")


def test_datagrams_of_a_capture_are_frames(stream: MapStream) -> None:
    with open_port("pcap:frames.pcap?mode=write") as capture:
        assert capture.send(udp_frames(Burst.of(list(stream.pieces)), port=5000)) == len(stream.pieces)
    Path("frames.bin").write_bytes(stream.octets)
    assert replay("frames.pcap", "--port", "5000") == replay("frames.bin")


def test_a_damaged_stream_says_where_it_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stream = impair_map_frames(LINKS["TC"], 5, 300, 40)
    write_profile(stream)
    Path("frames.bin").write_bytes(stream.octets)
    assert stream.truth.resynchronizations
    totals = replay("frames.bin", "--strict", code=4)["totals"]
    assert totals["resynchronizations"] == stream.truth.resynchronizations
    result = CliRunner().invoke(cli, ["replay", "frames.bin", "--mission", "mine.toml"], prog_name="ccsds")
    assert "MAP" in result.stdout
    assert "where no frame could start" in " ".join(result.stdout.split())


def test_arrow_has_the_map(stream: MapStream) -> None:
    arrow = pytest.importorskip("ccsds.interop.arrow")
    packets = receive(stream.octets, map_channel_of(stream.link)).packets
    table = arrow.packet_table(packets)
    assert table["map_id"].to_pylist() == packets["map_id"].tolist()


def test_a_profile_with_maps_reads_back(stream: MapStream) -> None:
    channel = map_channel_of(stream.link)
    listed = [map_ for virtual in channel.master_channels[0].virtual_channels for map_ in virtual.maps]
    assert Map(map_id=2, service="access") in listed
    assert msgspec.structs.replace(channel) == channel
