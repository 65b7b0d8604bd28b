"""`ccsds replay` from ports: what a port receives gives the account that the same octets give from a file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ccsds.cli.demo import profile_as_toml
from ccsds.cli.main import cli
from ccsds.link.managed_parameters import Mission
from ccsds.testing.impaired_stream import (
    FrameType,
    ReceiverSettings,
    Transmission,
    TransmitterParameters,
    VirtualChannelTraffic,
    transmit,
)
from ccsds.testing.receiving_end import channel_of
from netmap_io.burst import Burst
from netmap_io.payload import udp_frames
from netmap_io.port import open_port

PARAMETERS = TransmitterParameters(
    frame_type=FrameType.TM, spacecraft_id=7, virtual_channels=(VirtualChannelTraffic(virtual_channel_id=0),)
)


@pytest.fixture(scope="module")
def sent() -> Transmission:
    return transmit(PARAMETERS, seed=4, frames=40)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: Transmission) -> Path:
    mission = Mission(name="mine", physical_channel=channel_of(PARAMETERS, ReceiverSettings()))
    (tmp_path / "mine.toml").write_text(profile_as_toml(mission), encoding="utf-8")
    (tmp_path / "all.cadu").write_bytes(sent.octets)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def account(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["replay", *arguments, "--mission", "mine.toml", "--json"], prog_name="ccsds")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def cadus(sent: Transmission) -> list[bytes]:
    size = PARAMETERS.channel_access_data_unit_octets
    return [sent.octets[at : at + size] for at in range(0, len(sent.octets), size)]


def test_datagrams_received_by_udp(here: Path, sent: Transmission) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-c", "from ccsds.cli.main import run; run()"]
    arguments = ["replay", f"udp:127.0.0.1:{port}", "--mission", "mine.toml", "--json", "--seconds", "4"]
    with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as replay:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            deadline = time.monotonic() + 20
            while not _bound(port) and time.monotonic() < deadline:
                time.sleep(0.05)
            for cadu in cadus(sent):
                sender.sendto(cadu, ("127.0.0.1", port))
                time.sleep(0.002)
        out, _ = replay.communicate(timeout=60)
    assert replay.returncode == 0
    live, recorded = json.loads(out), account("all.cadu")
    assert live["virtual_channels"] == recorded["virtual_channels"]
    assert live["totals"] == recorded["totals"]


def _bound(port: int) -> bool:
    lines = Path("/proc/net/udp").read_text().splitlines()
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines[1:])


def test_a_capture_by_its_address_and_through_a_wrapper(here: Path, sent: Transmission) -> None:
    with open_port("pcap:all.pcapng?mode=write") as capture:
        capture.send(udp_frames(Burst.of(cadus(sent)), port=5000))
    recorded = account("all.cadu")
    assert account("pcap:all.pcapng", "--port", "5000") == recorded
    damaged = account("fault+pcap:all.pcapng?loss=0.2&seed=3", "--port", "5000")
    assert 0 < damaged["totals"]["frames"] < recorded["totals"]["frames"]
    assert damaged["virtual_channels"][0]["lost_frames"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("pcap:missing.pcapng",), 3, "no such file"),
        (("pcap:missing.pcapng?paec=1",), 2, "did you mean pace?"),
        (("memory:", "--protocol", "udp"), 2, "--protocol is for Ethernet frames"),
        (("memory:", "--pace", "original"), 2, "--pace is for capture files"),
        (("all.cadu", "--seconds", "1"), 2, "--seconds is for ports"),
    ],
)
def test_what_does_not_fit_is_one_sentence(here: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = CliRunner().invoke(cli, ["replay", *arguments, "--mission", "mine.toml"], prog_name="ccsds")
    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
