"""The simulated transmitter against published figures, other libraries, and reading by hand."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import reedsolo
from crcmod.predefined import mkCrcFun
from hypothesis import given, settings
from hypothesis import strategies as st
from spacepackets.ccsds.spacepacket import SpacePacketHeader

from ccsds.errors import ConfigurationError
from ccsds.testing.impaired_stream import (
    ATTACHED_SYNC_MARKER,
    FrameType,
    Randomizer,
    ReedSolomon,
    TransmitterParameters,
    VirtualChannelTraffic,
    account_for,
    transmit,
)
from ccsds.testing.transmitter import coding
from ccsds.testing.transmitter.packets import encapsulation_packet, space_packet

SHARED = Path(__file__).resolve().parents[3] / "shared"
PACKET_CHANNEL = VirtualChannelTraffic(virtual_channel_id=1)
IDLE_CHANNEL = VirtualChannelTraffic(virtual_channel_id=7, only_idle_data_share=1.0)


def vectors(name: str, table: str) -> list[dict[str, Any]]:
    path = SHARED / "vectors" / name
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text())[table]
    return rows


needs_vectors = pytest.mark.skipif(not (SHARED / "vectors").exists(), reason="../shared/vectors is not there")
needs_captures = pytest.mark.skipif(not (SHARED / "captures").exists(), reason="../shared/captures is not there")


def cases(rows: list[dict[str, Any]], name: str = "id") -> list[Any]:
    """Parameters of a test; one that is skipped by its mark where there are none."""
    return [pytest.param(row, id=row[name]) for row in rows] or [pytest.param({}, id="absent")]


def check_symbols(frame: bytes, code: ReedSolomon) -> bytes:
    return coding.reed_solomon_check_symbols(np.frombuffer(frame, dtype=np.uint8)[None, :], code).tobytes()


def other_library(errors: int) -> reedsolo.RSCodec:
    """The same code in the conventional basis: first root alpha^(11 (128-E)), steps of alpha^11 = 0xad."""
    return reedsolo.RSCodec(nsym=2 * errors, nsize=255, fcr=128 - errors, prim=0x187, generator=0xAD, c_exp=8)


# --- coding ---


@needs_vectors
def test_published_generators_and_dual_basis() -> None:
    name = "03-reed-solomon.toml"
    for row in vectors(name, "generator"):
        published = next(value for key, value in row.items() if key.startswith("alpha_exponents"))
        assert [coding.LOGARITHMS[each] for each in coding.generator_polynomial(row["E"])] == published
    assert coding.to_dual.hex() == vectors(name, "table")[0]["octets"]
    assert bytes(coding.to_conventional[octet] for octet in coding.to_dual) == bytes(range(256))


@needs_vectors
@pytest.mark.parametrize("row", cases(vectors("03-reed-solomon.toml", "codeword")))
def test_published_codewords(row: dict[str, Any]) -> None:
    code = ReedSolomon(correctable_symbols=row["E"], interleaving_depth=1, dual_basis=row["dual_basis"])
    octets = code.information_octets
    message = bytes(range(octets)) if row["id"].startswith("ramp") else bytes(octets - 1) + b"\x01"
    assert check_symbols(message, code).hex() == row["parity"]


@needs_vectors
def test_published_codeblocks() -> None:
    full, filled = vectors("03-reed-solomon.toml", "codeblock")
    frame = bytes.fromhex(full["frame"])
    assert check_symbols(frame, ReedSolomon()).hex() == full["check_symbols"]
    assert check_symbols(frame, ReedSolomon(dual_basis=False)).hex() != full["check_symbols"]
    code = ReedSolomon(virtual_fill_octets=filled["virtual_fill"])
    assert check_symbols(frame[: code.information_octets], code).hex() == filled["check_symbols"]


@needs_vectors
@pytest.mark.parametrize("row", cases(vectors("03-reed-solomon.toml", "real_cadu")))
def test_a_received_data_unit_is_made_again_from_its_frame(row: dict[str, Any]) -> None:
    received = bytes.fromhex(row["cadu"])
    code = ReedSolomon(interleaving_depth=row["I"])
    sequence = coding.randomizer_octets(Randomizer.SHORT, len(received) - 4)
    block = bytes(a ^ b for a, b in zip(received[4:], sequence, strict=True))
    assert block[: code.information_octets][:8].hex() == row["derandomized_first_8"]
    assert check_symbols(block[: code.information_octets], code) == block[code.information_octets :]
    assert received[:4] == ATTACHED_SYNC_MARKER


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    errors=st.sampled_from((8, 16)),
    depth=st.sampled_from((1, 2, 3, 4, 5, 8)),
    fill=st.integers(0, 200),
    dual=st.booleans(),
)
def test_check_symbols_equal_those_of_reedsolo(seed: int, errors: int, depth: int, fill: int, dual: bool) -> None:
    code = ReedSolomon(
        correctable_symbols=errors, interleaving_depth=depth, virtual_fill_octets=fill * depth, dual_basis=dual
    )
    frame = Random(seed).randbytes(code.information_octets)
    checks = check_symbols(frame, code)
    library = other_library(errors)
    to_library, from_library = (coding.to_conventional, coding.to_dual) if dual else (bytes(range(256)),) * 2
    for codeword in range(depth):
        encoded = library.encode(frame[codeword::depth].translate(to_library))
        assert checks[codeword::depth] == bytes(encoded[-2 * errors :]).translate(from_library)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32), errors=st.sampled_from((8, 16)), count=st.integers(0, 40))
def test_what_is_correctable_agrees_with_reedsolo(seed: int, errors: int, count: int) -> None:
    random = Random(seed)
    pattern = {position: random.randint(1, 255) for position in random.sample(range(255), count)}
    received = bytearray(255)
    for position, error in pattern.items():
        received[position] = error
    try:
        other_library(errors).decode(received)
        corrected = True
    except reedsolo.ReedSolomonError:
        corrected = False
    assert coding.is_correctable(pattern, errors) == corrected


@pytest.mark.parametrize("errors", [8, 16])
def test_errors_near_another_codeword_count_as_correctable(errors: int) -> None:
    """E+1 symbols of a codeword of weight 2E+1: a decoder turns them into that codeword."""
    code = ReedSolomon(correctable_symbols=errors, interleaving_depth=1, dual_basis=False)
    message = bytes(code.information_octets - 1) + b"\x01"
    codeword = message + check_symbols(message, code)
    places = [place for place, symbol in enumerate(codeword) if symbol]
    assert len(places) == 2 * errors + 1
    near = {place: codeword[place] for place in places[: errors + 1]}
    assert coding.is_correctable(near, errors)
    near[places[0]] ^= 0x5A
    assert not coding.is_correctable(near, errors)


@needs_vectors
def test_published_randomizer_sequences() -> None:
    rows = {row["id"]: row for row in vectors("02-randomizers.toml", "randomizer")}
    short = coding.randomizer_octets(Randomizer.SHORT, 510).hex()
    assert short == 2 * rows["tm-8cell"]["period_255_octets"]
    long = coding.randomizer_octets(Randomizer.LONG, 16384)
    row = rows["tm-17cell"]
    assert long.hex().startswith(row["first_32_octets"] + row["octets_32_to_63"])
    assert hashlib.sha256(long).hexdigest() == row["sha256_first_16384_octets"]


@needs_vectors
def test_published_idle_data_and_its_recurrence() -> None:
    published = vectors("02-randomizers.toml", "oid")[0]["first_64_octets"]
    assert coding.idle_data(64).hex() == published
    bits = np.unpackbits(np.frombuffer(coding.idle_data(5001), dtype=np.uint8))
    assert np.array_equal(bits[32:], bits[:-32] ^ bits[10:-22] ^ bits[30:-2] ^ bits[31:-1])


@needs_vectors
def test_published_check_sequences() -> None:
    for row in vectors("01-crc.toml", "check"):
        if row["algorithm"] == "crc16-fecf":
            assert coding.frame_error_control(bytes.fromhex(row["message"])) == int(row["crc"], 16)
    for row in vectors("07-frames.toml", "aos_fhec"):
        if "fhec" in row:
            check = coding.frame_header_error_control(int(row["octets_0_1"], 16), int(row["octet_5"], 16))
            assert f"{check:04x}" == row["fhec"]


# --- packets and frames ---


@needs_vectors
def test_published_packets() -> None:
    assert space_packet(2047, 0, b"\xff").hex() == "07ffc0000000ff"
    published = {row["octets"] for row in vectors("06-packets-time.toml", "encap_packet")}
    made = {
        encapsulation_packet(7, 4, bytes(range(4))).hex(),
        encapsulation_packet(7, 2, bytes(range(4))).hex(),
        encapsulation_packet(7, 1, bytes(range(4))).hex(),
        encapsulation_packet(0, 0, b"").hex(),
    }
    assert made == published


@given(st.integers(0, 2046), st.integers(0, 16383), st.binary(min_size=1, max_size=50), st.integers(0, 1))
def test_space_packet_header_as_spacepackets_reads_it(apid: int, count: int, data: bytes, flag: int) -> None:
    header = SpacePacketHeader.unpack(space_packet(apid, count, data, secondary_header_flag=flag))
    assert (header.apid, header.seq_count, header.data_len, header.sec_header_flag) == (
        apid,
        count,
        len(data) - 1,
        flag,
    )
    assert header.packet_type.value == 0 and header.seq_flags.value == 3


def first_frame(**values: Any) -> bytes:
    return transmit(TransmitterParameters(**values), seed=1, frames=1).frames[0]


def test_headers_of_published_frames() -> None:
    """Of 07-frames.toml: astro-fhec-fecf, issue-5-ten-bit-scid (without its replay flag) and spp-py-tm-sec."""
    channel = VirtualChannelTraffic(virtual_channel_id=42, first_frame_count=3 << 24 | 258)
    frame = first_frame(
        frame_type=FrameType.AOS,
        spacecraft_id=171,
        virtual_channels=(channel,),
        frame_header_error_control=True,
        frame_count_cycle=True,
    )
    assert frame[:8].hex() == "6aea00010243ce8e"
    channel = VirtualChannelTraffic(virtual_channel_id=5, first_frame_count=9 << 24 | 10531008)
    frame = first_frame(
        frame_type=FrameType.AOS,
        spacecraft_id=801,
        standard_issue=5,
        virtual_channels=(channel,),
        frame_count_cycle=True,
    )
    assert frame[:6].hex() == "4845a0b0c079"
    channel = VirtualChannelTraffic(virtual_channel_id=7, first_frame_count=0, only_idle_data_share=1.0)
    frame = first_frame(
        frame_type=FrameType.TM,
        spacecraft_id=3,
        virtual_channels=(channel,),
        secondary_header_octets=2,
        operational_control_field=False,
    )
    assert frame[:2].hex() == "003e"
    assert frame[3:7].hex() == "009ffe01"
    assert frame[8:28].hex() == "ffffffff6db6d861451f11f19716723cbe7e00b1"


FORMATS: dict[str, dict[str, Any]] = {
    "tm": {"frame_type": FrameType.TM},
    "tm-secondary-header": {"frame_type": FrameType.TM, "secondary_header_octets": 9},
    "tm-bare": {
        "frame_type": FrameType.TM,
        "operational_control_field": False,
        "frame_error_control_field": False,
    },
    "aos": {"frame_type": FrameType.AOS, "standard_issue": 5},
    "aos-full": {
        "frame_type": FrameType.AOS,
        "standard_issue": 5,
        "insert_zone_octets": 5,
        "frame_header_error_control": True,
    },
    "aos-uncoded": {
        "frame_type": FrameType.AOS,
        "standard_issue": 5,
        "reed_solomon": None,
        "uncoded_frame_octets": 200,
    },
    "uslp": {"frame_type": FrameType.USLP},
    "uslp-full": {"frame_type": FrameType.USLP, "insert_zone_octets": 5, "frame_count_octets": 7},
}


@pytest.mark.parametrize("values", FORMATS.values(), ids=FORMATS)
def test_clean_stream_read_by_hand(values: dict[str, Any]) -> None:
    """Marker, randomizer, header bits, counters, check fields, pointers: each read from octets with plain slices."""
    channels = (
        VirtualChannelTraffic(virtual_channel_id=1, encapsulation_share=0.3),
        VirtualChannelTraffic(virtual_channel_id=2, shortest_packet_octets=900, longest_packet_octets=3000),
        IDLE_CHANNEL,
    )
    parameters = TransmitterParameters(spacecraft_id=587, virtual_channels=channels, **values)
    sent = transmit(parameters, seed=3, frames=150)
    size = len(ATTACHED_SYNC_MARKER) + parameters.coded_octets
    assert len(sent.octets) == 150 * size
    crc = mkCrcFun("crc-ccitt-false")
    zones: dict[int, list[tuple[int, bytes]]] = {}
    counts: dict[int, int] = {}
    for number, frame in enumerate(sent.frames):
        unit = sent.octets[number * size : (number + 1) * size]
        sequence = coding.randomizer_octets(Randomizer.SHORT, len(frame))
        assert unit[:4].hex() == "1acffc1d"
        assert bytes(a ^ b for a, b in zip(unit[4:], sequence, strict=False)) == frame
        if parameters.frame_error_control_field:
            assert crc(frame[:-2]) == int.from_bytes(frame[-2:], "big")
        end = len(frame) - (2 if parameters.frame_error_control_field else 0)
        if parameters.operational_control_field:
            end -= 4
            assert frame[end] == 1  # CLCW, COP-1
        bits = f"{int.from_bytes(frame[:6], 'big'):048b}"
        if parameters.frame_type is FrameType.TM:
            assert bits[:2] == "00" and int(bits[2:12], 2) == 587
            channel, count, modulus = int(bits[12:15], 2), frame[3], 256
            assert bits[15] == str(int(parameters.operational_control_field))
            assert frame[2] == (sent.frames[0][2] + number) % 256
            assert bits[32:37] == ("1" if parameters.secondary_header_octets else "0") + "0011"
            pointer, begin = int(bits[37:], 2), 6
            if parameters.secondary_header_octets:
                assert frame[6] == parameters.secondary_header_octets - 1
                begin += parameters.secondary_header_octets
        elif parameters.frame_type is FrameType.USLP:
            octets = parameters.frame_count_octets
            assert bits[:4] == "1100" and int(bits[4:20], 2) == 587 and bits[31] == "0"
            assert int(bits[32:], 2) + 1 == len(frame)
            assert frame[6] == octets | 8 * parameters.operational_control_field
            channel, modulus, begin = int(bits[21:27], 2), 1 << 8 * octets, 7 + octets
            count = int.from_bytes(frame[7:begin], "big")
            begin += parameters.insert_zone_octets
            pointer, begin = int.from_bytes(frame[begin + 1 : begin + 3], "big"), begin + 3
            idle = frame[begin - 3] == 0b001_11111
            assert frame[begin - 3] == 0 or (idle and pointer == end - begin - 1)
            pointer = 2046 if idle else 2047 if pointer == 0xFFFF else pointer
        else:
            assert bits[:2] == "01" and int(bits[42:44] + bits[2:10], 2) == 587
            channel, count, modulus = int(bits[10:16], 2), int(bits[16:40], 2), 1 << 24
            begin = 6 + 2 * parameters.frame_header_error_control + parameters.insert_zone_octets
            pointer, begin = int.from_bytes(frame[begin : begin + 2], "big"), begin + 2
            # Sixteen bits in issue 5, with the special values at its end; here both kinds are brought to eleven.
            assert pointer < 2046 or pointer >= 0xFFFE
            pointer &= 2047
        assert counts.setdefault(channel, count) == count
        counts[channel] = (count + 1) % modulus
        zones.setdefault(channel, []).append((pointer, frame[begin:end]))
    assert all(pointer == 2046 for pointer, _ in zones.pop(7))
    for channel, parts in zones.items():
        assert read_packets(parts) == list(sent.packets[channel])


def read_packets(zones: list[tuple[int, bytes]]) -> list[bytes]:
    """All zones joined and walked by length fields; every pointer must be where the first packet of its zone begins."""
    stream = b"".join(zone for _, zone in zones)
    starts, packets, at = [], [], 0
    while at < len(stream):
        starts.append(at)
        if stream[at] >> 5 == 7:
            kind = stream[at] & 3
            length = int.from_bytes(stream[at + (0, 1, 2, 4)[kind] : at + (1, 2, 4, 8)[kind]], "big") if kind else 1
            idle = stream[at] >> 2 & 7 == 0
        else:
            length = 7 + int.from_bytes(stream[at + 4 : at + 6], "big")
            idle = int.from_bytes(stream[at : at + 2], "big") & 2047 == 2047
        if not idle and at + length <= len(stream):
            packets.append(stream[at : at + length])
        at += length
    first = 0
    for pointer, zone in zones:
        inside = [start - first for start in starts if first <= start < first + len(zone)]
        assert pointer == (inside[0] if inside else 2047)
        first += len(zone)
    return packets


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_account_of_a_clean_stream_is_what_was_sent(data: st.DataObject) -> None:
    longest = data.draw(st.sampled_from((60, 400, 5000, 65542)))
    shares = data.draw(st.sampled_from(((0.0, 0.0, 0.0), (0.3, 0.3, 0.2), (0.0, 0.5, 0.5), (1.0, 0.0, 0.0))))
    channels = tuple(
        VirtualChannelTraffic(
            virtual_channel_id=each,
            longest_packet_octets=longest,
            encapsulation_share=shares[0],
            idle_packet_share=shares[1],
            cut_idle_share=shares[2],
            only_idle_data_share=data.draw(st.sampled_from((0.0, 0.3, 1.0))),
            time_stamped=data.draw(st.booleans()),
        )
        for each in (0, 3)
    )
    parameters = TransmitterParameters(
        frame_type=data.draw(st.sampled_from(FrameType)),
        standard_issue=5,
        spacecraft_id=data.draw(st.integers(0, 1023)),
        virtual_channels=channels,
        reed_solomon=None,
        uncoded_frame_octets=data.draw(st.sampled_from((40, 128, 1115, 2048))),
    )
    sent = transmit(parameters, data.draw(st.integers(0, 2**32)), frames=60)
    account = account_for(sent.frames, parameters)
    assert account.foreign_frames == account.frame_error_control_errors == 0
    assert sum(each.frames for each in account.virtual_channels.values()) == 60
    for channel, row in account.virtual_channels.items():
        packets = sent.packets[channel]
        assert (row.packets, row.packet_octets) == (len(packets), sum(map(len, packets)))
        assert row.sha256 == hashlib.sha256(b"".join(packets)).hexdigest()
        assert (row.counter_gaps, row.lost_frames, row.repeated_frames) == (0, 0, 0)
        # Idle packets that are cut off are never complete, so their count jumps.
        whole = {key: value for key, value in row.application_processes.items() if key != 2047}
        assert all(gaps == 0 for _, _, gaps, _ in whole.values())


def test_time_stamps_follow_the_symbols() -> None:
    channel = VirtualChannelTraffic(virtual_channel_id=1, time_stamped=True)
    start = 1_800_000_000
    parameters = TransmitterParameters(
        frame_type=FrameType.TM,
        spacecraft_id=1,
        virtual_channels=(channel,),
        start_time_ns=start * 10**9,
        symbol_rate_hz=10_232,  # one CADU of 1279 octets each second
    )
    sent = transmit(parameters, seed=1, frames=20)
    times = [int.from_bytes(packet[6:13], "big") / 2**24 - 378691200 for packet in sent.packets[1]]
    assert times == sorted(times)
    assert Counter(round(time - start) for time in times).keys() == set(range(20))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"spacecraft_id": 1024}, "spacecraft_id"),
        ({"virtual_channels": ()}, "virtual_channels"),
        ({"virtual_channels": (PACKET_CHANNEL, PACKET_CHANNEL)}, "virtual_channels"),
        ({"virtual_channels": (VirtualChannelTraffic(virtual_channel_id=8),)}, "virtual_channels"),
        ({"insert_zone_octets": 4}, "insert_zone_octets"),
        ({"secondary_header_octets": 65}, "secondary_header_octets"),
        ({"reed_solomon": None, "uncoded_frame_octets": 3000}, "frame length"),
        ({"reed_solomon": None, "uncoded_frame_octets": 20}, "frame length"),
    ],
)
def test_impossible_parameters_name_their_key(values: dict[str, Any], key: str) -> None:
    base: dict[str, Any] = {"frame_type": FrameType.TM, "spacecraft_id": 1, "virtual_channels": (PACKET_CHANNEL,)}
    with pytest.raises(ConfigurationError, match=key):
        TransmitterParameters(**(base | values))


@pytest.mark.parametrize("values", [{"interleaving_depth": 6}, {"correctable_symbols": 4}, {"virtual_fill_octets": 3}])
def test_impossible_codes_name_their_key(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        ReedSolomon(**values)


# --- the account against recorded frames ---


def recordings() -> list[dict[str, Any]]:
    path = SHARED / "captures" / "captures.toml"
    if not path.exists():
        return []
    rows = tomllib.loads(path.read_text())["file"]
    return [row for row in rows if row["kind"] == "frames" and row.get("protocol") in ("TM", "AOS")]


def recorded_frames(row: dict[str, Any]) -> list[bytes]:
    octets, size = (SHARED / "captures" / row["file"]).read_bytes(), row["record_octets"]
    records = [octets[first : first + size] for first in range(0, len(octets) - size + 1, size)]
    if row.get("deinterleave"):
        return [record_columns(record, row["deinterleave"]) for record in records]
    if row.get("rs_interleave"):  # clean in these files: the check symbols are cut off
        sequence = coding.randomizer_octets(Randomizer.SHORT, 223 * row["rs_interleave"])
        return [bytes(a ^ b for a, b in zip(record[4:], sequence, strict=False)) for record in records]
    return records


def record_columns(record: bytes, depth: int) -> bytes:
    return b"".join(record[column::depth] for column in range(depth))


@needs_captures
@pytest.mark.parametrize("row", cases(recordings(), "file"))
def test_account_of_recorded_frames_is_the_published_one(row: dict[str, Any]) -> None:
    frames = recorded_frames(row)
    parameters = TransmitterParameters(
        frame_type=FrameType[row["protocol"]],
        spacecraft_id=row["scid"],
        virtual_channels=(VirtualChannelTraffic(virtual_channel_id=0),),
        reed_solomon=None,
        uncoded_frame_octets=len(frames[0]),
        operational_control_field=row.get("ocf", False),
        frame_error_control_field=row.get("fecf", False),
        insert_zone_octets=row.get("insert_zone_octets", 0),
    )
    account = account_for(frames, parameters)
    assert account.foreign_frames == row["foreign_records"]
    assert account.virtual_channels.keys() == {channel["vcid"] for channel in row["vc"]}
    for truth in row["vc"]:
        mine = account.virtual_channels[truth["vcid"]]
        for name in ("frames", "repeated_frames", "counter_gaps", "lost_frames"):
            assert getattr(mine, name) == truth[name], name
        assert mine.only_idle_data_frames == truth["oid_frames"]
        if truth["content"] not in ("space packets", "encapsulation packets"):
            continue
        for name in ("packets", "packet_octets", "idle_packets", "sha256"):
            assert getattr(mine, name) == truth[name], name
        processes = [[key, *value] for key, value in sorted(mine.application_processes.items())]
        assert processes == truth.get("apids", [])
        assert [[key, *value] for key, value in sorted(mine.encapsulation.items())] == truth.get("encapsulation", [])


# --- independence ---


def test_nothing_of_the_receiving_chain_is_imported() -> None:
    source = (
        "import sys, ccsds.testing.impaired_stream\nprint(*(name for name in sys.modules if name.startswith('ccsds')))"
    )
    loaded = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True).stdout.split()
    layers = ("_native", "coding", "frames", "link", "packets", "procedures", "layout")
    assert not [name for name in loaded if name.removeprefix("ccsds.").split(".")[0] in layers]
