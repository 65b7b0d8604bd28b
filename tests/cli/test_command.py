"""`ccsds command` and `ccsds spacecraft`: two processes over UDP, files, kept traces, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccsds.cli.command_inputs import DIRECTIVES, parse_directive
from ccsds.cli.main import cli
from ccsds.coding.cltu import CODES
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.link.command_trace import CommandStep, trace_from_lines
from ccsds.link.commanding import physical_channel_of
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.fop1_primitives import InitiateAdWithSetVr, SetT1Initial
from ccsds.procedures.frame_delimiting import FrameDelimiter
from ccsds.procedures.segmentation import packets_of

PROGRAM = [sys.executable, "-c", "from ccsds.cli.main import run; run()"]
SECONDS = 60


def free_ports() -> tuple[str, str]:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1]), str(other.getsockname()[1])


@contextmanager
def spacecraft(*arguments: str) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
    """One at work; gives the options for `ccsds command`, and, when the block has ended, what it told."""
    up, down = free_ports()
    told: list[dict[str, Any]] = []
    process = subprocess.Popen(
        [*PROGRAM, "spacecraft", "--listen", up, "--send", down, "--json", "--rate", "50", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told.append(json.loads(process.stdout.readline()))  # it listens from now on
        yield ["--to", up, "--from", down], told
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
        assert (process.returncode, errors) == (0, "")
        told += [json.loads(line) for line in output.splitlines()]
    finally:
        process.kill()
        process.wait()


def command(*arguments: str, code: int = 0, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PROGRAM, "command", *arguments], capture_output=True, text=True, timeout=SECONDS, cwd=folder
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def invoke(*arguments: str, name: str = "command") -> Result:
    return CliRunner().invoke(cli, [name, *arguments])


def program(*arguments: str, code: int) -> str:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("down", ["demo-downlink", "demo-downlink-aos", "demo-downlink-uslp"])
def test_two_processes_over_udp(tmp_path: Path, down: str) -> None:
    packets = [
        SpacePacket(application_process_id=7, packet_sequence_count=n, packet_data_field=bytes([n] * 300)).encode()
        for n in range(6)
    ]
    (tmp_path / "plan.packets").write_bytes(b"".join(packets))
    with spacecraft("--downlink", down) as (ports, told):
        options = [*ports, "--downlink", down, "--trace", str(tmp_path / "t.jsonl"), "--json"]
        done = command(str(tmp_path / "plan.packets"), "--text", "switch on", *options)
        again = command("--hex", "0102", *ports, "--downlink", down, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["kind"] == "summary" and lines[-1]["commands"] == lines[-1]["successful"] == 7
    kept = (tmp_path / "t.jsonl").read_text()
    assert kept.splitlines() == done.stdout.splitlines()[:-1]
    steps = [event for event in trace_from_lines(kept.splitlines()) if isinstance(event, CommandStep)]
    assert [e.command for e in steps if e.step == "acknowledged"] == list(range(1, 8))
    assert json.loads(again.stdout.splitlines()[-1])["successful"] == 1
    received = [bytes.fromhex(line["octets"]) for line in told if line["kind"] == "received"]
    assert received[:6] == packets and SpacePacket.decode(received[6]).packet_data_field == b"switch on"
    assert SpacePacket.decode(received[7]).packet_data_field == b"\1\2"
    end = told[-1]
    assert end["kind"] == "end" and end["commands"] == 8 and end["clcws"]["0"]["report_value"] == end["accepted_frames"]


def test_over_a_bad_link_every_command_arrives_once(tmp_path: Path) -> None:
    texts = [f"command {number}" for number in range(12)]
    with spacecraft("--loss", "0.1", "--bit-errors", "1e-5", "--delay", "20", "--seed", "3") as (ports, told):
        command(*(word for text in texts for word in ("--text", text)), *ports)
    got = [SpacePacket.decode(bytes.fromhex(line["octets"])) for line in told if line["kind"] == "received"]
    assert [packet.packet_data_field.decode() for packet in got] == texts


def test_the_packets_that_come_down_are_kept(tmp_path: Path) -> None:
    kept = tmp_path / "down.packets"
    with spacecraft() as (ports, _):
        command("--text", "x", "--watch", "--timeout", "2.5", "--packets", str(kept), *ports)
    packets, rest = packets_of(kept.read_bytes())
    assert rest == b"" and {SpacePacket.decode(packet).application_process_id for packet in packets} == {10, 11}


def test_expedited_and_directives_over_udp() -> None:
    with spacecraft() as (ports, told):
        done = command("--text", "now", "--mode", "bd", "--virtual-channel", "1", "--map", "5", *ports)
        assert "radiated: CLTU 1" in done.stdout and "1 of 1 commands" in done.stdout
        assert "positive confirm" in command("--directive", "set-vr=200", *ports).stdout
        assert "initiate-ad-with-unlock: positive confirm" in command("--directive", "unlock", *ports).stdout
    (received,) = [line for line in told if line["kind"] == "received"]
    assert (received["virtual_channel_id"], received["map_id"], received["mode"]) == (1, 5, "BD")
    assert told[-1]["clcws"]["0"]["report_value"] == 200 and told[-1]["control_commands"] == 2


def test_without_a_spacecraft_the_exit_code_tells(tmp_path: Path) -> None:
    up, down = free_ports()
    trace = tmp_path / "t.jsonl"
    done = command("--text", "x", "--to", up, "--from", down, "--timeout", "0.3", "--trace", str(trace), code=5)
    assert "1 of 1 commands not acknowledged: withdrawn; no frame of this mission came down" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [event.step for event in trace_from_lines(trace.read_text().splitlines())] == ["accepted", "withdrawn"]  # type: ignore[union-attr]
    shown = command("--show", str(trace)).stdout
    assert "withdrawn" in shown and "1 x" in shown


def test_interrupted_it_gives_its_account() -> None:
    up, down = free_ports()
    process = subprocess.Popen(
        [*PROGRAM, "command", "--text", "x", "--to", up, "--from", down],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130 and errors == "", errors
    assert "accepted" in first and "withdrawn" in output and "interrupted: 0 of 1 commands" in output


def test_a_file_of_cltus_decodes_back(tmp_path: Path) -> None:
    sent = [SpacePacket(application_process_id=9, packet_data_field=bytes([n] * 40)).encode() for n in range(5)]
    (tmp_path / "in.packets").write_bytes(b"".join(sent))
    done = invoke(str(tmp_path / "in.packets"), "--to", str(tmp_path / "out.cltus"))
    assert done.exit_code == 0, done.output
    channel = physical_channel_of("demo-uplink")
    assert channel.command_coding is not None
    decoder = channel.command_coding.decoder()
    cltus = [*decoder.feed((tmp_path / "out.cltus").read_bytes()), *decoder.finish()]
    delimiter = FrameDelimiter(frame_error_control_present=True)
    block = CODES["BCH"].information_octets
    frames = [f for c in cltus for f in delimiter.frames_of(c.octets, codeword_information_octets=block)]
    data = b"".join(
        TcTransferFrame.decode(
            frame.octets, segment_header_present=True, frame_error_control_present=True
        ).transfer_frame_data_unit
        for frame in frames
    )
    assert data == b"".join(sent)


def test_frames_made_elsewhere(tmp_path: Path) -> None:
    frames = b"".join(
        TcTransferFrame(
            spacecraft_id=42,
            virtual_channel_id=1,
            transfer_frame_data_unit=bytes([number] * 20),
            bypass_flag=1,
            sequence_flags=SegmentSequenceFlags.UNSEGMENTED,
            map_id=0,
            frame_error_control_present=True,
        ).encode()
        for number in range(3)
    )
    (tmp_path / "f.tc").write_bytes(frames)
    out = tmp_path / "out.cltus"
    assert invoke("--frames", str(tmp_path / "f.tc"), "--to", str(out)).exit_code == 0
    decoder = physical_channel_of("demo-uplink").command_coding.decoder()  # type: ignore[union-attr]
    assert b"".join(cltu.octets[:28] for cltu in decoder.feed(out.read_bytes())) == frames


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "nothing to send"),
        (("--directive", "unlok"), 2, "did you mean unlock?"),
        (("--directive", "set-vr=256"), 2, "N is 0 to 255"),
        (("--hex", "0g"), 2, "two digits each"),
        (("--text", "x", "--to", "out.cltus", "--mode", "ad"), 2, "--from"),
        (("--text", "x", "--virtual-channel", "9"), 2, "lists 0, 1"),
        (("--text", "x", "--mission", "demo-downlink"), 2, "command_coding"),
        (("--text", "x", "--mission", "demo-uplik"), 2, "did you mean demo-uplink"),
        (("--text", "x", "--from", "nothing"), 2, "--from nothing: a number"),
        (("--text", ""), 2, "packet data field"),
        (("nowhere.packets",), 3, "nowhere.packets: no such file"),
        (("--show", "nowhere.jsonl"), 3, "nowhere.jsonl: no such file"),
        (("--show", __file__), 3, "command trace"),
        ((__file__,), 3, "no whole packet at octet 0"),
        (("--frames", __file__), 3, "TC transfer frame"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in program("command", *arguments, code=code)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--uplink", "demo-downlink"), 2, "TC frames"),
        (("--downlink", "demo-uplink"), 2, "fixed length"),
        (("--listen", "wrong"), 2, "--listen wrong"),
        (("--send", "udp:"), 2, "udp"),
    ],
)
def test_a_spacecraft_that_cannot_be(arguments: tuple[str, ...], code: int, words: str) -> None:
    up, down = free_ports()
    assert words in program("spacecraft", "--listen", up, "--send", down, *arguments, code=code)


def test_a_port_in_use_is_told() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        assert "in use" in program("spacecraft", "--listen", port, "--for", "1", code=3)


def test_the_help_teaches() -> None:
    for name in ("command", "spacecraft"):
        done = invoke("--help", name=name)
        assert done.exit_code == 0 and "ccsds " + name in done.output and "Exit codes" in done.output
    assert "a command or directive was not acknowledged" in invoke("--help").output


def test_directives_and_their_completion() -> None:
    assert parse_directive("set-vr=3") == InitiateAdWithSetVr(3)
    assert parse_directive("set-t1-ms=20") == SetT1Initial(20_000_000)
    for name in DIRECTIVES:
        assert parse_directive(name + "1" if name.endswith("=") else name)
    environment = os.environ | {
        "_CCSDS_COMPLETE": "bash_complete",
        "COMP_WORDS": "ccsds command --directive un",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [*PROGRAM[:2], "import sys; sys.argv[0] = 'ccsds'; from ccsds.cli.main import run; run()"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert "unlock" in done.stdout
