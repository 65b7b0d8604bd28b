"""Batches of packets against the object face, against a slow walk, and against themselves in pieces."""

from __future__ import annotations

import hashlib
import io
import struct
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds import _native
from ccsds.link.packet_batch import PacketBatch, PacketWalker, packet_batches, space_packets
from ccsds.packets.space_packet import PRIMARY_HEADER, PacketType, SequenceFlags, SpacePacket

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"

packets = st.builds(
    SpacePacket,
    application_process_id=st.integers(0, 2046),
    packet_data_field=st.one_of(st.binary(min_size=1, max_size=40), st.integers(1, 2000).map(bytes)),
    packet_type=st.sampled_from(PacketType),
    secondary_header_flag=st.integers(0, 1),
    sequence_flags=st.sampled_from(SequenceFlags),
    packet_sequence_count=st.integers(0, 16383),
)


@st.composite
def encapsulation_packets(draw: st.DrawFn) -> bytes:
    protocol, length_of_length = draw(st.integers(1, 7)), draw(st.integers(0, 3))
    first = bytes([0xE0 | protocol << 2 | length_of_length])
    if length_of_length == 0:
        return b"\xe0"
    data = draw(st.binary(max_size=30))
    if length_of_length == 1:
        return first + bytes([2 + len(data)]) + data
    if length_of_length == 2:
        return first + b"\xa5" + struct.pack(">H", 4 + len(data)) + data
    return first + b"\xa5\xbe\xef" + struct.pack(">I", 8 + len(data)) + data


units = st.one_of(packets.map(SpacePacket.encode), encapsulation_packets())
files = st.lists(units, max_size=40).map(b"".join)
dirt = st.one_of(st.binary(max_size=60), st.sampled_from([b"", b"\x00" * 9, b"\xe0" * 5, b"\xff" * 12, b"\x20"]))


def slow_walk(octets: bytes, maximum: int = 1 << 24) -> tuple[list[tuple[int, int]], int | None]:
    """(start, end) of each packet and the octet of a refusal, by the standards' own words."""
    at, found = 0, []
    while at < len(octets):
        version = octets[at] >> 5
        header, length = 1, 1
        if version == 0:
            header = 6
            length = int.from_bytes(octets[at + 4 : at + 6], "big") + 7
        elif version == 7:
            size_of_length = (0, 1, 2, 4)[octets[at] & 3]
            header = (1, 2, 4, 8)[octets[at] & 3]
            if not size_of_length and octets[at] & 0x1C:
                return found, at  # only an idle packet may be without a length field
            if size_of_length:
                length = int.from_bytes(octets[at + header - size_of_length : at + header], "big")
        else:
            return found, at
        if at + header > len(octets):
            break
        if length < header or length > maximum:
            return found, at
        if at + length > len(octets):
            break
        found.append((at, at + length))
        at += length
    return found, None


def expected_header(octets: bytes, start: int) -> tuple[int, ...]:
    """What the columns hold: the fields of a space packet, of another packet only the version."""
    version = octets[start] >> 5
    return (version, 0, 0, 0, 0, 0, 0) if version else PRIMARY_HEADER.values(octets, start)


def rows(batch: PacketBatch) -> list[tuple[bytes, tuple[int, ...]]]:
    columns = zip(*(batch[name].tolist() for name in batch.names), strict=True)
    return [(bytes(batch.packet_octets(index)), values) for index, values in enumerate(columns)]


def test_the_kernel_cuts_the_fields_of_the_layout() -> None:
    table = [(field.name, PRIMARY_HEADER.bit_offset(field.name), field.bits) for field in PRIMARY_HEADER]
    assert _native.space_packet_header_fields() == table


@given(st.lists(packets, max_size=30))
def test_batch_equals_objects(units: list[SpacePacket]) -> None:
    octets = b"".join(unit.encode() for unit in units)
    batch = space_packets(octets)
    assert list(batch) == units
    assert batch.trailing_octets == 0
    assert batch.refusal is None
    assert batch.octets is octets
    for name in PRIMARY_HEADER.names:
        assert batch[name].tolist() == [getattr(unit, name) for unit in units]
        assert batch[name].dtype == np.min_scalar_type(PRIMARY_HEADER[name].maximum)


@given(st.lists(units, max_size=20))
def test_objects_of_either_kind(units: list[bytes]) -> None:
    pytest.importorskip("ccsds.packets.encapsulation_packet", reason="the encapsulation packet codec is not here yet")
    batch = space_packets(b"".join(units))
    assert [packet.encode() for packet in batch] == units
    assert [packet.packet_version_number for packet in batch] == batch["packet_version_number"].tolist()


@given(files, dirt, st.binary(max_size=20))
def test_any_octets_are_walked_as_the_standards_say(file: bytes, middle: bytes, tail: bytes) -> None:
    octets = file + middle + file + tail
    batch = space_packets(octets)
    found, refused_at = slow_walk(octets)
    assert list(zip(batch.starts.tolist(), batch.ends.tolist(), strict=True)) == found
    assert (batch.refusal and batch.refusal.octet_offset) == refused_at
    assert batch.trailing_octets == len(octets) - (found[-1][1] if found else 0)
    for index, (start, _) in enumerate(found):
        assert tuple(int(batch[name][index]) for name in PRIMARY_HEADER.names) == expected_header(octets, start)


@given(files, dirt, st.lists(st.integers(0, 4000), max_size=12), st.sampled_from([1 << 24, 300]))
def test_any_split_gives_the_same(file: bytes, dirty: bytes, cuts: list[int], maximum: int) -> None:
    octets = file + dirty + file
    whole = space_packets(octets, maximum_packet_octets=maximum)
    walker = PacketWalker(maximum_packet_octets=maximum)
    at = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    batches = [walker.feed(octets[start:end]) for start, end in pairwise(at)]
    last = walker.finish()
    assert [row for batch in batches for row in rows(batch)] == rows(whole)
    assert not len(last)
    assert last.trailing_octets == whole.trailing_octets
    assert str(last.refusal) == str(whole.refusal)
    assert walker.octets_fed == len(octets)


@given(files, dirt)
@settings(max_examples=30)
def test_octet_by_octet(file: bytes, dirty: bytes) -> None:
    octets = file[:600] + dirty
    walker = PacketWalker()
    found = [row for octet in octets for row in rows(walker.feed(bytes([octet])))]
    whole = space_packets(octets)
    assert found == rows(whole)
    assert walker.finish().trailing_octets == whole.trailing_octets


class Pipe(io.BytesIO):
    """Gives what is there, and cannot go back."""

    def seekable(self) -> bool:
        return False


@given(files, dirt, st.sampled_from([1, 7, 100, 4096]), st.sampled_from([io.BytesIO, Pipe]), st.integers(0, 9))
def test_a_file_in_chunks_gives_the_same(file: bytes, dirty: bytes, chunk: int, kind: Any, before: int) -> None:
    octets = file[:3000] + dirty + file[:500]
    opened = kind(bytes(before) + octets)
    opened.read(before)
    whole = space_packets(octets)
    *batches, last = packet_batches(opened, chunk_octets=chunk)
    assert [row for batch in batches for row in rows(batch)] == rows(whole)
    assert not len(last)
    assert last.trailing_octets == whole.trailing_octets
    assert str(last.refusal) == str(whole.refusal)


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1", "packets back to back")
@pytest.mark.parametrize("fill", ["nested packets", "zeros", "ones", "noise"])
def test_large_files_whose_data_look_like_packets(fill: str) -> None:
    random = np.random.default_rng(5)
    pieces = []
    for number in range(3000):
        size = int(random.integers(100, 1500))
        nested = SpacePacket(application_process_id=number % 3, packet_data_field=bytes(200)).encode()
        data = {"nested packets": nested * 8, "zeros": bytes(1500), "ones": b"\xff" * 1500, "noise": random.bytes(1500)}
        pieces.append(SpacePacket(application_process_id=number % 3, packet_data_field=data[fill][:size]).encode())
    octets = b"".join(pieces)
    for part in (octets, octets[:-1], octets[: len(octets) // 2] + b"\x40" + octets[len(octets) // 2 :]):
        batch = space_packets(part)
        found, refused_at = slow_walk(part)
        assert list(zip(batch.starts.tolist(), batch.ends.tolist(), strict=True)) == found
        assert (batch.refusal and batch.refusal.octet_offset) == refused_at
        expected = [expected_header(part, start) for start, _ in found]
        assert list(zip(*(batch[name].tolist() for name in PRIMARY_HEADER.names), strict=True)) == expected


@pytest.mark.parametrize("size", range(7))
def test_files_shorter_than_a_packet(size: int) -> None:
    batch = space_packets(bytes(size))
    assert len(batch) == 0
    assert batch.trailing_octets == size
    assert batch.refusal is None
    assert [batch[name].tolist() for name in batch.names] == [[]] * 7


def test_refusals_name_octet_and_clause() -> None:
    packet = SpacePacket(application_process_id=1, packet_data_field=b"12345").encode()
    cases: list[tuple[bytes, dict[str, Any], str, str]] = [
        (b"\x20", {}, "packet version number 1 is not 0 or 7", "133.0-B-2 §4.1.3.2"),
        (b"\xe0", {"encapsulation": False}, "packet version number 7 is not 0 ", "133.0-B-2 §4.1.3.2"),
        (b"\xe4", {}, "packet of protocol 1 needs a length field", "133.1-B-3 §4.1.2.4"),
        (b"\xe5\x01", {}, "encapsulation packet of 1 octets is shorter", "133.1-B-3 §4.1.2.8"),
        (b"\xe7\0\0\0\xff\0\0\0", {}, "of 4278190080 octets, at most 16777216", "133.0-B-2 §4.1.3.5"),
        (bytes(4) + b"\0\x9f", {"maximum_packet_octets": 165}, "of 166 octets, at most 165", "133.0-B-2 §4.1.3.5"),
    ]
    for octets, options, message, clause in cases:
        batch = space_packets(packet * 2 + octets, **options)
        assert len(batch) == 2
        assert batch.trailing_octets == len(octets)
        assert batch.refusal is not None
        assert batch.refusal.octet_offset == 2 * len(packet)
        assert message in str(batch.refusal) + " "
        assert clause in batch.refusal.clause


def test_after_a_refusal_everything_is_counted_and_dropped() -> None:
    walker = PacketWalker()
    assert len(walker.feed(bytes(7) + b"\x20")) == 1
    for _ in range(3):
        assert len(walker.feed(bytes(7))) == 0
    last = walker.finish()
    assert last.trailing_octets == 22
    assert last.refusal is walker.refusal
    assert last.refusal is not None
    assert last.refusal.octet_offset == 7


@given(st.lists(units, min_size=1, max_size=20), st.data())
def test_selections_share_the_octets(units: list[bytes], data: st.DataObject) -> None:
    batch = space_packets(b"".join(units))
    batch.add_column("frame_index", np.arange(len(units)) * 3)
    keys = [
        data.draw(st.slices(len(units))),
        np.array(data.draw(st.lists(st.booleans(), min_size=len(units), max_size=len(units)))),
        data.draw(st.lists(st.integers(-len(units), len(units) - 1), max_size=9)),
    ]
    for key in keys:
        chosen = batch[key]
        indices = np.arange(len(units))[key if len(key_list(key)) else slice(0)]
        assert chosen.octets is batch.octets
        assert [bytes(chosen.packet_octets(i)) for i in range(len(chosen))] == [units[i] for i in indices]
        assert chosen.to_bytes() == b"".join(units[i] for i in indices)
        assert chosen["frame_index"].tolist() == (indices * 3).tolist()
        assert chosen.lengths.tolist() == [len(units[i]) for i in indices]
        assert rows(chosen[::-1]) == rows(chosen)[::-1]
        assert chosen.trailing_octets == 0


def key_list(key: Any) -> list[Any]:
    return [key] if isinstance(key, slice) else list(key)


@given(st.lists(packets, min_size=1, max_size=12), st.binary(max_size=9))
def test_a_batch_made_of_scattered_packets(units: list[SpacePacket], gap: bytes) -> None:
    octets, starts, ends = gap, [], []
    for unit in units:
        starts.append(len(octets))
        octets += unit.encode()
        ends.append(len(octets))
        octets += gap
    batch = PacketBatch(octets, starts[::-1], ends[::-1], {"virtual_channel_id": [7] * len(units)})
    assert list(batch) == units[::-1]
    assert batch.names == (*PRIMARY_HEADER.names, "virtual_channel_id")
    for name in PRIMARY_HEADER.names:
        assert batch[name].tolist() == [getattr(unit, name) for unit in reversed(units)]
    assert batch.to_bytes() == b"".join(unit.encode() for unit in reversed(units))


@given(st.lists(files, max_size=4), dirt)
def test_batches_concatenated(parts: list[bytes], tail: bytes) -> None:
    batches = [space_packets(part) for part in parts] + [space_packets(b"".join(parts) + tail)[::2]]
    for number, batch in enumerate(batches):
        batch.add_column("frame_index", [number] * len(batch))
    batches[0].add_column("not_everywhere", [0] * len(batches[0]))
    whole = PacketBatch.concatenate(batches)
    wanted = (*PRIMARY_HEADER.names, "frame_index") if len(batches) > 1 else batches[0].names
    assert whole.names == wanted
    keep = [batch.names.index(name) for name in wanted for batch in batches[:1]]
    expected = [row for batch in batches for row in rows(batch)]
    assert [octets for octets, _ in rows(whole)] == [octets for octets, _ in expected]
    assert [values for _, values in rows(whole)] == [tuple(values[at] for at in keep) for _, values in expected]


def test_the_last_batch_tells_the_end() -> None:
    whole = PacketBatch.concatenate([space_packets(bytes(14)), space_packets(bytes(7) + b"\x20\0")])
    assert len(whole) == 3
    assert whole.trailing_octets == 2
    assert whole.refusal is not None
    assert len(PacketBatch.concatenate([])) == 0


def test_a_batch_that_contradicts_itself() -> None:
    for starts, ends in ([0], [8]), ([3], [3]), ([5], [4]), ([0, 1], [7]):
        with pytest.raises(ValueError, match=r"outside|starts"):
            PacketBatch(bytes(7), starts, ends)
    with pytest.raises(ValueError, match="column 'quality' has shape"):
        PacketBatch(bytes(7), [0], [7], {"quality": [1, 2]})
    with pytest.raises(KeyError, match="no column 'apid'; there are packet_version_number"):
        space_packets(bytes(7))["apid"]
    with pytest.raises(IndexError):
        space_packets(bytes(7))[1]


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda octets: np.frombuffer(octets, np.uint8)])
def test_other_buffers_are_copied(kind: Any) -> None:
    batch = space_packets(kind(bytes(14)))
    assert len(batch) == 2
    assert type(batch.octets) is bytes
    assert len(PacketWalker().feed(kind(bytes(14)))) == 2


def test_columns_are_read_only_and_outlive_the_batch() -> None:
    batch = space_packets(bytes(7) * 1000)
    counts, starts = batch["packet_sequence_count"], batch.starts
    with pytest.raises(ValueError, match="read-only"):
        counts[0] = 1
    del batch
    for _ in range(20):  # memory of dropped batches is filled again; that of living arrays is not
        space_packets(b"\x08\x01\xff\xff\x00\x00\x01" * 1000)
    assert not counts.any()
    assert starts.tolist() == list(range(0, 7000, 7))


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1", "packets back to back")
@pytest.mark.skipif(not CAPTURES.exists(), reason="recordings of ../shared/captures are not here")
@pytest.mark.parametrize("name", ["jpss1_geolocation_20210409.packets", "cygnss_f7_20220327.packets"])
def test_recorded_packet_files(name: str) -> None:
    truth = tomllib.loads((CAPTURES / "captures.toml").read_text())
    octets = (CAPTURES / name).read_bytes()
    batch = space_packets(octets)
    told = next(table for table in tables(truth) if name in (table.get("file"), table.get("name")))
    chosen = batch[batch["application_process_id"] != 2047]
    assert len(chosen) == told["packets"]
    assert int(chosen.lengths.sum()) == told["packet_octets"]
    assert hashlib.sha256(chosen.to_bytes()).hexdigest() == told["sha256"]
    identifiers, counts = np.unique(batch["application_process_id"], return_counts=True)
    assert list(zip(identifiers.tolist(), counts.tolist(), strict=True)) == [tuple(row[:2]) for row in told["apids"]]


def tables(value: Any) -> list[dict[str, Any]]:
    """All tables inside a TOML document."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [table for item in inner for table in tables(item)]
    return [value, *found] if isinstance(value, dict) else found
