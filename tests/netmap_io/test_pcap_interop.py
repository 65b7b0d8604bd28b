"""Captures against other people's implementations, both directions."""

from __future__ import annotations

import io
import shutil
import subprocess

import dpkt
import pcapng
import pcapng.blocks
import pytest
from scapy.utils import PcapNgWriter as ScapyNgWriter
from scapy.utils import PcapWriter as ScapyWriter
from scapy.utils import RawPcapNgReader, RawPcapReader

from netmap_io import Burst
from netmap_io.burst import join
from netmap_io.drivers.pcap import PcapReader, PcapWriter

# python-pcapng warns of its own ways when options are read or written
pytestmark = pytest.mark.filterwarnings("ignore:Field type should not be:DeprecationWarning")

S = 1_000_000_000
FRAMES = [bytes([n]) * (14 + 7 * n) for n in range(40)]
TIMES = [1_700_000_000 * S + n * 1_000_001_000 for n in range(40)]  # whole microseconds
BURST = Burst.of(FRAMES, TIMES, link_types=1, original_lengths=[len(f) + (n % 3) for n, f in enumerate(FRAMES)])
ORIGINAL = BURST.original_lengths.tolist()


def write(**options) -> bytes:
    file = io.BytesIO()
    with PcapWriter(file, **options) as port:
        port.send(BURST)
    return file.getvalue()


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_ours_read_by_scapy_and_dpkt(nanoseconds, big_endian):
    octets = write(format="pcap", nanoseconds=nanoseconds, big_endian=big_endian)
    unit = 1 if nanoseconds else 1000
    by_scapy = [(data, (m.sec * S + m.usec * unit), m.wirelen) for data, m in RawPcapReader(io.BytesIO(octets))]
    assert by_scapy == list(zip(FRAMES, TIMES, ORIGINAL, strict=True))
    by_dpkt = [(data, round(time * 1_000_000) * 1000) for time, data in dpkt.pcap.Reader(io.BytesIO(octets))]
    assert by_dpkt == list(zip(FRAMES, TIMES, strict=True))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_ours_read_by_scapy_dpkt_and_python_pcapng(nanoseconds, big_endian):
    octets = write(nanoseconds=nanoseconds, big_endian=big_endian, name="eth0", description="d", comment="c")
    by_scapy = [
        (data, round(((m.tshigh << 32) + m.tslow) * (S // m.tsresol)), m.wirelen)
        for data, m in RawPcapNgReader(io.BytesIO(octets))
    ]
    assert by_scapy == list(zip(FRAMES, TIMES, ORIGINAL, strict=True))
    by_dpkt = [(data, round(float(time) * 1_000_000) * 1000) for time, data in dpkt.pcapng.Reader(io.BytesIO(octets))]
    assert by_dpkt == list(zip(FRAMES, TIMES, strict=True))
    blocks = list(pcapng.FileScanner(io.BytesIO(octets)))
    packets = [each for each in blocks if isinstance(each, pcapng.blocks.EnhancedPacket)]
    assert [(p.packet_data, p.packet_len) for p in packets] == list(zip(FRAMES, ORIGINAL, strict=True))
    assert [round(p.timestamp * 1_000_000) * 1000 for p in packets] == TIMES
    assert blocks[0].options["opt_comment"] == "c" and blocks[1].options["if_name"] == "eth0"
    assert blocks[1].options["if_description"] == "d"


def check(octets: bytes, original: list[int] | None = None) -> None:
    with PcapReader(octets) as port:
        burst = join(list(port.bursts()))
        assert not port.truncated
    assert [bytes(frame) for frame in burst] == FRAMES
    assert burst.timestamps_ns.tolist() == TIMES
    assert burst.link_types.tolist() == [1] * len(FRAMES)
    assert burst.original_lengths.tolist() == (original or [len(frame) for frame in FRAMES])


class Kept(io.BytesIO):
    def close(self) -> None:
        """Keep what was written."""


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_scapy_s_pcap_read_by_us(nano, endianness):
    file = Kept()
    writer = ScapyWriter(file, linktype=1, nano=nano, endianness=endianness)
    writer.write_header(None)
    for frame, time, wire in zip(FRAMES, TIMES, ORIGINAL, strict=True):
        fraction = time % S // (1 if nano else 1000)
        writer.write_packet(frame, sec=time // S, usec=fraction, caplen=len(frame), wirelen=wire)
    writer.flush()
    check(file.getvalue(), ORIGINAL)


def test_scapy_s_pcapng_read_by_us(tmp_path):
    path = tmp_path / "scapy.pcapng"
    writer = ScapyNgWriter(str(path))
    writer.write_header(None)
    for frame, time in zip(FRAMES, TIMES, strict=True):
        writer._write_packet(frame, linktype=1, sec=time // 1000 / 1_000_000, ifname=b"eth0", comments=[b"note"])
    writer.close()
    with PcapReader(path) as port:
        burst = join(list(port.bursts()))
        assert [bytes(frame) for frame in burst] == FRAMES
        assert burst.comments == {n: ["note"] for n in range(len(FRAMES))}
        assert burst.link_types.tolist() == [1] * len(FRAMES)


def test_dpkt_s_files_read_by_us():
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, nano=True)
    for frame, time in zip(FRAMES, TIMES, strict=True):
        writer.writepkt_time(frame, time // 1000 / 1_000_000)
    with PcapReader(file.getvalue()) as port:
        burst = join(list(port.bursts()))
    assert [bytes(frame) for frame in burst] == FRAMES
    assert abs(burst.timestamps_ns - BURST.timestamps_ns).max() < 1000  # dpkt writes from a float
    file = io.BytesIO()
    ng = dpkt.pcapng.Writer(file)
    for frame, time in zip(FRAMES, TIMES, strict=True):
        ng.writepkt(frame, ts=time // 1000 / 1_000_000)
    check(file.getvalue())


@pytest.mark.parametrize("endianness", ["<", ">"])
def test_python_pcapng_s_files_read_by_us(endianness):
    file = io.BytesIO()
    header = pcapng.blocks.SectionHeader(endianness=endianness, options={"shb_os": "some"})
    described = header.new_member(
        pcapng.blocks.InterfaceDescription, link_type=1, options={"if_tsresol": b"\x09", "if_name": "tun"}
    )
    writer = pcapng.FileWriter(file, header)
    for frame, time, wire in zip(FRAMES, TIMES, ORIGINAL, strict=True):
        packet = header.new_member(pcapng.blocks.EnhancedPacket, interface_id=0)
        packet.timestamp_high, packet.timestamp_low = time >> 32, time & 0xFFFFFFFF
        packet.packet_data, packet.packet_len = frame, wire
        writer.write_block(packet)
    assert described is not None
    octets = file.getvalue()
    check(octets, ORIGINAL)
    with PcapReader(octets) as port:
        port.receive()
        assert port.interfaces[0].name == "tun"
        assert port.sections[0].operating_system == "some"


@pytest.mark.parametrize("format", ["pcap", "pcapng"])
def test_ours_read_by_wireshark(format, tmp_path):
    if shutil.which("capinfos") is None or shutil.which("tshark") is None:
        pytest.skip("capinfos and tshark are not installed")
    path = tmp_path / "x"
    path.write_bytes(write(format=format))
    fields = ["-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.time_epoch"]
    done = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *fields], capture_output=True, check=True, text=True, timeout=60
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [(int(a), int(b)) for a, b, _ in rows] == list(zip(ORIGINAL, map(len, FRAMES), strict=True))
    assert [int(time.replace(".", "").ljust(19, "0")) for *_, time in rows] == TIMES
    assert "40" in subprocess.run(["capinfos", "-c", path], capture_output=True, check=True, text=True).stdout
