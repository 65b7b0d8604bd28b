"""What passes is written down, with its direction."""

from __future__ import annotations

import io

import dpkt
import pytest

from netmap_io import Burst, open_port
from netmap_io.drivers.memory import memory_pair
from netmap_io.drivers.pcap import PcapReader
from netmap_io.errors import CaptureUnreadableError
from netmap_io.wrappers.recorder import EPB_FLAGS, Recorder
from netmap_io.wrappers.tracer import Tracer


def directions(burst: Burst) -> list[int]:
    return [int.from_bytes(value, "little") for _, code, value in burst.annotations if code == EPB_FLAGS]


def test_frames_of_both_directions_with_their_times(tmp_path):
    path = tmp_path / "x.pcapng"
    near, far = memory_pair()
    with Recorder(near, path, clock_ns=lambda: 5000) as port:
        port.send(Burst.of([b"one", b"two"], [1, 2], annotations=[(1, 1, b"a remark"), (0, EPB_FLAGS, bytes(4))]))
        far.send(Burst.of([b"three", b"four"], [7, -1]))
        port.receive(9, 0)
        assert port.recorded == 4
    with PcapReader(path) as reader:
        burst = reader.receive()
        assert [bytes(frame) for frame in burst] == [b"one", b"two", b"three", b"four"]
        assert burst.timestamps_ns.tolist() == [5000, 5000, 7, 5000]
        assert directions(burst) == [2, 2, 1, 1]
        assert burst.comments == {1: ["a remark"]}
        assert len(reader.receive()) == 0
        assert reader.interfaces[0].statistics.received == 2
    far.close()


def test_another_program_reads_the_directions(tmp_path):
    path = tmp_path / "x.pcapng"
    with Recorder(open_port("memory:?link_type=ethernet"), path) as port:
        port.send(Burst.of([bytes(60)], link_types=1))
        port.receive(9, 0)
    octets = path.read_bytes()
    assert [len(frame) for _, frame in dpkt.pcapng.Reader(io.BytesIO(octets))] == [60, 60]
    blocks, at = [], 0
    while at < len(octets):
        length = int.from_bytes(octets[at + 4 : at + 8], "little")
        blocks.append(octets[at : at + length])
        at += length
    packets = [block for block in blocks if block[:4] == bytes([6, 0, 0, 0])]
    assert [block[28 + 60 : 28 + 68] for block in packets] == [bytes([2, 0, 4, 0, n, 0, 0, 0]) for n in (2, 1)]


def test_only_what_was_taken_is_recorded(tmp_path):
    with Recorder(open_port("memory:?capacity_frames=2"), tmp_path / "x", incoming=False) as port:
        assert port.send(Burst.of([b"a", b"b", b"c"])) == 2
        port.receive(9, 0)
    with PcapReader(tmp_path / "x") as reader:
        assert len(reader.receive()) == 2


def test_an_empty_recording_is_a_capture(tmp_path):
    with open_port(f"record+memory:?link_type=ethernet&record_file={tmp_path}/x"):
        pass
    with open_port(f"pcap:{tmp_path}/x") as reader:
        assert (len(reader.receive()), reader.interfaces[0].link_type) == (0, 1)


def test_lent_frames_are_recorded_too(tmp_path):
    with Recorder(open_port("memory:"), tmp_path / "x") as port:
        port.send(Burst.of([b"a", b"b"]))
        with port.lend(9) as burst:
            assert len(burst) == 2
    with PcapReader(tmp_path / "x") as reader:
        assert directions(reader.receive()) == [2, 2, 1, 1]


def test_frames_of_a_second_link_type_are_counted(tmp_path):
    with open_port(f"pcap:{tmp_path}/in?mode=write&link_type=113") as port:
        port.send(Burst.of([b"a"], link_types=113))
    with open_port(f"record+pcap:{tmp_path}/in?record_file={tmp_path}/out") as port:
        port.receive()
        port._record(Burst.of([b"b", b"c"], link_types=[1, 113]), 1)
        assert (port.recorded, port.not_recorded) == (2, 1)


def test_a_full_disk_does_not_stop_the_link_and_is_told_at_the_end():
    port = Recorder(open_port("memory:"), "/dev/full")
    big = Burst.of([bytes(100_000)] * 2)
    for _ in range(3):
        assert port.send(big) == 2
        assert len(port.receive(9, 0)) == 2
    assert port.recorded + port.not_recorded == 12
    assert port.not_recorded >= 8
    with pytest.raises(CaptureUnreadableError, match="no space left"):
        port.close()
    assert port.port.closed


def test_a_recording_that_cannot_be_made(tmp_path):
    with pytest.raises(CaptureUnreadableError, match="no such file or directory"):
        open_port(f"record+memory:?record_file={tmp_path}/none/x")


def test_trace_lines():
    lines = []
    with Tracer(open_port("memory:"), lines.append, octets=3, clock_ns=lambda: 2_000_000_001) as port:
        port.send(Burst.of([b"\x01\x02\x03", b"\x0a" * 9], [-1, 1_000_000_000], original_lengths=[3, 70]))
        port.receive(9, 0)
        port.send(Burst.of([b""]))
        with port.lend(9) as burst:
            assert len(burst) == 1
    assert lines == [
        "2.000000001 out     3 010203",
        "1.000000000 out  9/70 0a0a0a...",
        "2.000000001 in      3 010203",
        "1.000000000 in   9/70 0a0a0a...",
        "2.000000001 out     0 ",
        "2.000000001 in      0 ",
    ]


def test_trace_goes_to_a_file_or_standard_error(tmp_path, capsys):
    with open_port(f"trace+memory:?trace_octets=1&trace_file={tmp_path}/t") as port:
        port.send(Burst.of([b"ab"], [1]))
    assert (tmp_path / "t").read_text() == "0.000000001 out     2 61...\n"
    with open_port("trace+memory:") as port:
        port.send(Burst.of([b"ab"], [1]))
    assert capsys.readouterr().err == "0.000000001 out     2 6162\n"
    with pytest.raises(CaptureUnreadableError, match="no such file"):
        open_port(f"trace+memory:?trace_file={tmp_path}/none/t")


def test_a_trace_that_cannot_be_written_does_not_stop_the_link_and_is_told_at_the_end():
    port = open_port("trace+memory:?trace_file=/dev/full")
    for _ in range(3):
        assert port.send(Burst.of([bytes(20)] * 500)) == 500
        assert len(port.receive(1000, 0)) == 500
    assert port.not_traced > 2000
    with pytest.raises(CaptureUnreadableError, match="cannot use the trace: no space left"):
        port.close()
    assert port.port.closed
