"""Addresses: what they say, and what is said of wrong ones."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from netmap_io import Burst, LinkType, open_port
from netmap_io.drivers.pcap import PcapReader, PcapWriter
from netmap_io.errors import (
    CaptureUnreadableError,
    NotACaptureError,
    PortAddressError,
    PortError,
    PortUnsupportedError,
)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("pcpa:x", "did you mean pcap"),
        ("pcap", "driver:target"),
        ("netmop:em0", "names no driver; did you mean"),
        ("pcap:", "needs a file"),
        ("pcap:x?mode=append", "mode=append is not one of read, write"),
        ("pcap:x?pase=2", "did you mean pace"),
        ("pcap:x?pace=fast", "pace=fast"),
        ("pcap:x?pace=nan", "pace=nan"),
        ("pcap:x?pace", "has no value"),
        ("pcap:x?pace=1&pace=2", "given twice"),
        ("pcap:x?piece_octets=0", "from 1 to"),
        ("pcap:x?piece_octets=-1", "from 1 to"),
        ("pcap:x?link_type=ether", "link_type=ether"),
        ("pcap:x?mode=write&format=pcap&comment=hi", "pcap has no place"),
        ("pcap:x?mode=write&link_type=70000", "16 bits"),
        ("memory:x?capacity_octets=0", "from 1 to"),
        ("memory:?capacity=3", "did you mean capacity_frames"),
    ],
)
def test_wrong_addresses_get_one_sentence(address, sentence):
    with pytest.raises(PortAddressError) as caught:
        open_port(address)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unusable_files_get_one_sentence(tmp_path):
    missing = tmp_path / "gone.pcap"
    with pytest.raises(CaptureUnreadableError, match=r"gone\.pcap: no such file"):
        open_port(f"pcap:{missing}")
    with pytest.raises(CaptureUnreadableError, match="directory"):
        open_port(f"pcap:{tmp_path}")
    with pytest.raises(CaptureUnreadableError, match="directory"):
        open_port(f"pcap:{tmp_path}?mode=write")
    with pytest.raises(CaptureUnreadableError):
        PcapReader("a\0b")
    text = tmp_path / "text.txt"
    text.write_bytes(b"hello there, I am a text file")
    with pytest.raises(NotACaptureError, match=r"text\.txt is not a capture: it begins with 68 65 6c 6c"):
        open_port(f"pcap:{text}")
    text.write_bytes(b"")
    with pytest.raises(NotACaptureError, match="it is empty"):
        open_port(f"pcap:{text}")
    text.write_bytes(bytes.fromhex("d4c3b2a1020004"))
    with pytest.raises(NotACaptureError, match="ends after 7 octets"):
        open_port(f"pcap:{text}")


def test_a_file_cut_while_it_is_read_ends_early(tmp_path):
    path = tmp_path / "x.pcap"
    with PcapWriter(path, format="pcap", link_type="raw_octets") as writer:
        writer.send(Burst.of([bytes(1000)] * 1000))
    with PcapReader(path, piece_octets=4096) as reader:
        assert len(reader.receive(2)) == 2
        with open(path, "r+b") as file:
            file.truncate(10_000)
        assert sum(len(burst) for burst in reader.bursts()) < 20
        assert reader.truncated


def test_a_full_disk_is_one_sentence():
    with pytest.raises(CaptureUnreadableError, match="no space left"):  # either call may meet it
        port = PcapWriter("/dev/full")
        port.flush()
    with pytest.raises(PortError):
        port.close()
    assert port.closed


def test_percent_signs_and_questions_in_names(tmp_path):
    path = tmp_path / "a?b c"
    with open_port(f"pcap:{tmp_path}/a%3Fb%20c?mode=write&comment=50%25"):
        pass
    with open_port(f"pcap:{tmp_path}/a%3Fb%20c") as port:
        assert port.sections[0].comments == ["50%"]
    assert path.exists()


def test_the_wrong_direction_is_named(tmp_path):
    with open_port(f"pcap:{tmp_path}/x?mode=write") as port, pytest.raises(PortUnsupportedError, match="mode=read"):
        port.receive(1, 0)
    with open_port(f"pcap:{tmp_path}/x") as port, pytest.raises(PortUnsupportedError, match="mode=write"):
        port.send(Burst.of([b"x"]))


def test_link_type_can_be_declared(tmp_path):
    with open_port(f"pcap:{tmp_path}/x?mode=write&link_type=transfer_frames") as port:
        port.send(Burst.of([b"x"]))
    with open_port(f"pcap:{tmp_path}/x?link_type=transfer_frames") as port:
        assert port.capabilities.link_type is LinkType.TRANSFER_FRAMES


def test_standard_input_and_output(tmp_path):
    written = io.BytesIO()
    with PcapWriter(written, link_type="raw_octets") as writer:
        writer.send(Burst.of([b"one", b"two"], [1, 2]))
    code = (
        "import sys, netmap_io\n"
        "with netmap_io.open_port('pcap:-') as port, netmap_io.open_port('pcap:-?mode=write&link_type=147') as out:\n"
        "    for burst in port.bursts(): out.send(burst)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=written.getvalue(), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == written.getvalue()


def test_a_pipe_gives_what_is_there_and_keeps_to_the_timeout():
    written = io.BytesIO()
    with PcapWriter(written, link_type="raw_octets") as writer:
        writer.send(Burst.of([b"one", b"two"], [1, 2]))
    code = (
        "import netmap_io, time\n"
        "port = netmap_io.open_port('pcap:-')\n"
        "assert len(port.receive(9, None)) == 1\n"
        "start = time.monotonic()\n"
        "assert len(port.receive(9, 0.2)) == 0 and not port.exhausted\n"
        "assert 0.15 < time.monotonic() - start < 5\n"
        "print('next', flush=True)\n"
        "assert len(port.receive(9, None)) == 1\n"
        "assert len(port.receive(9, None)) == 0 and port.exhausted and not port.truncated\n"
    )
    octets = written.getvalue()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(octets[:-20])
        process.stdin.flush()
        assert process.stdout.readline() == b"next\n"
        process.stdin.write(octets[-20:])
        process.stdin.close()
        assert process.wait(60) == 0


def test_importing_is_light():
    code = "import sys, netmap_io; assert 'numpy' not in sys.modules and 'netmap_io._native' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
