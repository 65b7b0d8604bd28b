"""`ccsds convert`: every direction there and back to the same octets."""

from __future__ import annotations

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
from netmap_io.drivers.pcap import PcapReader
from netmap_io.payload import PayloadExtractor

PARAMETERS = TransmitterParameters(
    frame_type=FrameType.TM,
    spacecraft_id=7,
    virtual_channels=(VirtualChannelTraffic(virtual_channel_id=0), VirtualChannelTraffic(virtual_channel_id=3)),
)


@pytest.fixture(scope="module")
def sent() -> Transmission:
    return transmit(PARAMETERS, seed=3, frames=12)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: Transmission) -> Path:
    """A folder with all.cadu, all.frames, all.packets and mine.toml, in which the test runs."""
    mission = Mission(name="mine", physical_channel=channel_of(PARAMETERS, ReceiverSettings()))
    (tmp_path / "mine.toml").write_text(profile_as_toml(mission), encoding="utf-8")
    (tmp_path / "all.cadu").write_bytes(sent.octets)
    (tmp_path / "all.frames").write_bytes(b"".join(sent.frames))
    (tmp_path / "all.packets").write_bytes(b"".join(sent.packets[0]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["convert", *arguments], prog_name="ccsds")
    assert result.exit_code == code, result.stderr
    return result


def test_cadus_become_frames_and_frames_cadus(place: Path, sent: Transmission) -> None:
    run("all.cadu", "out.frames", "--mission", "mine.toml")
    assert (place / "out.frames").read_bytes() == b"".join(sent.frames)
    run("out.frames", "out.cadu", "--mission", "mine.toml", "--content", "frames")
    assert (place / "out.cadu").read_bytes() == sent.octets


CONTENTS = {"cadu": ("--mission", "mine.toml"), "frames": ("--mission", "mine.toml", "--content", "frames")}
CONTENTS["packets"] = ("--content", "packets")


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("container", ["pcapng", "pcap", "hex"])
@pytest.mark.parametrize("content", ["cadu", "frames", "packets"])
def test_every_content_through_every_container(place: Path, content: str, container: str, bare: bool) -> None:
    options = CONTENTS[content]
    run(f"all.{content}", f"middle.{container}", *options, *["--bare"] * bare)
    run(f"middle.{container}", f"back.{content}", *options)
    assert (place / f"back.{content}").read_bytes() == (place / f"all.{content}").read_bytes()


def payloads(path: str) -> list[bytes]:
    extractor = PayloadExtractor("udp", 4321)
    with PcapReader(path) as reader:
        return [bytes(each) for burst in reader.bursts(4096) for each in extractor.feed(burst)]


def test_a_record_is_a_datagram(place: Path, sent: Transmission) -> None:
    run("all.frames", "f.pcapng", *CONTENTS["frames"], "--udp-port", "4321")
    assert payloads("f.pcapng") == list(sent.frames)
    run("all.packets", "p.pcapng", *CONTENTS["packets"], "--udp-port", "4321")
    assert payloads("p.pcapng") == list(sent.packets[0])


def test_a_record_is_a_line(place: Path, sent: Transmission) -> None:
    run("all.frames", "f.hex", *CONTENTS["frames"])
    assert (place / "f.hex").read_text() == "".join(f"{frame.hex()}\n" for frame in sent.frames)


@pytest.mark.parametrize("content", ["cadu", "frames", "packets"])
def test_a_last_record_that_is_cut_off_is_kept(place: Path, content: str) -> None:
    whole = (place / f"all.{content}").read_bytes()
    (place / f"cut.{content}").write_bytes(whole[:-5])
    run(f"cut.{content}", "cut.hex", *CONTENTS[content])
    assert bytes.fromhex((place / "cut.hex").read_text()) == whole[:-5]
    assert (place / "cut.hex").read_text().endswith(whole[:-5][-10:].hex() + "\n")


@pytest.mark.parametrize("target", ["all.cadu", "./all.cadu", "link.cadu"])
def test_the_source_is_never_the_target(place: Path, sent: Transmission, target: str) -> None:
    (place / "link.cadu").symlink_to("all.cadu")
    assert "it would be lost" in run("all.cadu", target, "--mission", "mine.toml", code=2).stderr
    assert (place / "all.cadu").read_bytes() == sent.octets


@pytest.mark.parametrize("target", ["out.dat", "out", "-"])
def test_a_name_that_tells_no_format(place: Path, target: str) -> None:
    stderr = run("all.cadu", target, "--mission", "mine.toml", code=2).stderr
    assert "choose one with --to" in stderr
    assert not (place / target).exists()


def test_to_standard_output(place: Path, sent: Transmission) -> None:
    result = run("all.cadu", "-", "--to", "frames", "--mission", "mine.toml")
    assert result.stdout_bytes == b"".join(sent.frames)
    assert f"{len(sent.frames) * PARAMETERS.frame_octets:,} octets of frames" in result.stderr


def test_a_packet_too_long_for_a_datagram_goes_bare(place: Path) -> None:
    packet = bytes.fromhex("0801c000ffff") + bytes(65_536)
    (place / "long.packets").write_bytes(packet)
    stderr = run("long.packets", "long.pcapng", "--content", "packets", code=2).stderr
    assert "65507" in stderr
    assert "--bare" in stderr
    run("long.packets", "long.pcapng", "--content", "packets", "--bare")
    run("long.pcapng", "back.packets", "--content", "packets")
    assert (place / "back.packets").read_bytes() == packet


@pytest.mark.parametrize("line", ["123", "12 3x", "zz", "é"])
def test_a_bad_line_of_hexadecimal_is_told_by_its_number(place: Path, line: str) -> None:
    (place / "bad.hex").write_text(f"# remark\n\n{'00' * 40}\n{line}\n")
    stderr = run("bad.hex", "out.frames", *CONTENTS["frames"], code=3).stderr
    assert "bad.hex, line 4: not octets in hexadecimal" in stderr


def test_what_cannot_be_converted_is_told(place: Path) -> None:
    assert "ccsds replay --packets" in run("all.cadu", "x.packets", "--mission", "mine.toml", code=2).stderr
    assert "packets cannot become frames" in run("all.packets", "x.frames", "--content", "packets", code=2).stderr
    assert "--mission is needed" in run("all.cadu", "x.frames", code=2).stderr


def test_what_did_not_become_frames_is_told(place: Path, sent: Transmission) -> None:
    size = PARAMETERS.channel_access_data_unit_octets
    octets = bytearray(sent.octets)
    octets[5 * size + 40 : 5 * size + 400] = bytes(360)
    (place / "hurt.cadu").write_bytes(octets)
    stderr = run("hurt.cadu", "hurt.frames", "--mission", "mine.toml").stderr
    assert "1 codeblocks past correction, left out" in stderr
    assert (place / "hurt.frames").read_bytes() == b"".join(sent.frames[:5] + sent.frames[6:])
    (place / "odd.hex").write_text(f"{sent.frames[0].hex()}\n{'00' * 33}\n")
    stderr = run("odd.hex", "odd.cadu", *CONTENTS["frames"]).stderr
    assert "1 records that have not the 1115 octets of a frame, left out" in stderr
    assert (place / "odd.cadu").read_bytes() == sent.octets[:size]


def test_nothing_to_convert_is_told(place: Path) -> None:
    (place / "noise.cadu").write_bytes(bytes(range(256)) * 40)
    stderr = run("noise.cadu", "noise.frames", "--mission", "mine.toml", code=3).stderr
    assert "nothing to convert in 10,240 octets: is it the right profile?" in stderr


def test_a_target_is_not_touched_when_there_is_nothing_to_write(place: Path) -> None:
    (place / "precious.frames").write_bytes(b"keep me")
    (place / "text.txt").write_bytes(b"no frame of anybody's\n" * 200)
    run("text.txt", "precious.frames", "--mission", "mine.toml", code=3)
    assert (place / "precious.frames").read_bytes() == b"keep me"
