"""Frames cut out of candidates: alone or several, with either kind of fill, damaged, cut short; every octet counted."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding.cltu import CODES, CltuEncoder, Code
from ccsds.coding.cltu_decoder import CltuDecoder
from ccsds.frames.tc import TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import UslpTransferFrameDataField
from ccsds.procedures.frame_delimiting import DelimitedFrame, DiscardedOctets, FrameDelimiter, LeftoverReason

CAPTURES = Path(__file__).parents[2].parent / "shared" / "captures"


def frame_of(data: bytes, *, check: bool = True, spacecraft_id: int = 9) -> bytes:
    return TcTransferFrame(
        spacecraft_id=spacecraft_id,
        virtual_channel_id=1,
        transfer_frame_data_unit=data,
        frame_error_control_present=check,
    ).encode()


def reasons(parts: list[DelimitedFrame | DiscardedOctets]) -> list[LeftoverReason | None]:
    return [part.reason if isinstance(part, DiscardedOctets) else None for part in parts]


def balance(delimiter: FrameDelimiter) -> None:
    counters = delimiter.counters
    assert counters.candidate_octets == counters.frame_octets + counters.fill_octets + counters.discarded_octets


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "frame delimiting, fill removal, several frames in a CLTU")
@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4), st.booleans(), st.booleans(), st.booleans()
)
def test_frames_sent_in_one_cltu_come_out(
    data: list[bytes], check: bool, randomizer: bool, randomize_fill: bool
) -> None:
    frames = [frame_of(octets, check=check) for octets in data]
    encoder = CltuEncoder(randomizer=randomizer, randomize_fill=randomizer and randomize_fill)
    (unit,) = CltuDecoder(randomizer=randomizer).feed(encoder.encode(b"".join(frames)))
    delimiter = FrameDelimiter(frame_error_control_present=check)
    parts = delimiter.split(unit.octets, codeword_information_octets=7)
    assert [part.octets for part in parts if isinstance(part, DelimitedFrame)] == frames
    assert b"".join(part.octets for part in parts) == unit.octets
    assert [part.offset for part in parts] == [
        sum(len(before.octets) for before in parts[:number]) for number in range(len(parts))
    ]
    assert delimiter.counters.fill_octets == -sum(map(len, frames)) % 7
    assert not delimiter.counters.discarded_octets
    balance(delimiter)


@given(st.binary(max_size=300), st.booleans(), st.sampled_from([None, {0, 85}]))
def test_any_octets_are_taken_and_accounted_for(octets: bytes, check: bool, spacecraft: set[int] | None) -> None:
    delimiter = FrameDelimiter(frame_error_control_present=check, spacecraft_ids=spacecraft)
    parts = delimiter.split(octets, codeword_information_octets=32)
    assert b"".join(part.octets for part in parts) == octets
    for part in parts:
        if isinstance(part, DelimitedFrame):
            frame = TcTransferFrame.decode(
                part.octets, segment_header_present=False, frame_error_control_present=check, check=False
            )
            assert frame.is_intact
            assert spacecraft is None or frame.spacecraft_id in spacecraft
    balance(delimiter)


def uslp_frame(zone: bytes, check_octets: int, *, truncated: bool, virtual_channel_id: int = 3) -> bytes:
    field = UslpTransferFrameDataField(construction_rule=7, uslp_protocol_id=0, transfer_frame_data_zone=zone).encode()
    options = {} if truncated else {"frame_error_control_present": bool(check_octets)}
    return UslpTransferFrame(
        spacecraft_id=700,
        virtual_channel_id=virtual_channel_id,
        map_id=1,
        end_of_frame_primary_header_flag=int(truncated),
        transfer_frame_data_field=field,
        frame_error_control_octets=check_octets or 2,
        **options,
    ).encode()


@pytest.mark.conforms("CCSDS 732.1-B-3", "4.3", "frame delimiting in a CLTU, whole and truncated frames")
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=60), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([0, 2, 4]),
)
def test_uslp_frames_sent_in_one_cltu_come_out(data: list[tuple[bytes, bool]], check_octets: int) -> None:
    frames = [uslp_frame(b"0123456789" if short else zone, check_octets, truncated=short) for zone, short in data]
    (unit,) = CltuDecoder().feed(CltuEncoder().encode(b"".join(frames)))
    delimiter = FrameDelimiter(
        frame_type="USLP",
        frame_error_control_present=bool(check_octets),
        frame_error_control_octets=4 if check_octets == 4 else 2,
        truncated_frame_octets={3: 4 + 1 + 10},
    )
    parts = delimiter.split(unit.octets, codeword_information_octets=7)
    assert [part.octets for part in parts if isinstance(part, DelimitedFrame)] == frames
    assert b"".join(part.octets for part in parts) == unit.octets
    assert delimiter.counters.fill_octets == -sum(map(len, frames)) % 7
    assert not delimiter.counters.discarded_octets
    balance(delimiter)


@given(st.binary(max_size=100), st.sampled_from([0, 2, 4]))
def test_any_octets_taken_for_uslp_are_accounted_for(octets: bytes, check_octets: int) -> None:
    delimiter = FrameDelimiter(
        frame_type="USLP",
        frame_error_control_present=bool(check_octets),
        frame_error_control_octets=4 if check_octets == 4 else 2,
        truncated_frame_octets={3: 15},
    )
    for candidate in (octets, b"\xc0" + octets, uslp_frame(b"good", check_octets, truncated=False) + octets):
        parts = delimiter.split(candidate, codeword_information_octets=32)
        assert b"".join(part.octets for part in parts) == candidate
        balance(delimiter)


def test_uslp_frames_that_cannot_be() -> None:
    good = uslp_frame(b"data", 2, truncated=False)
    unknown = uslp_frame(b"data", 2, truncated=True, virtual_channel_id=5)
    delimiter = FrameDelimiter(frame_type="USLP", frame_error_control_present=True, spacecraft_ids=[9])
    for candidate, expected in (
        (good, [LeftoverReason.SPACECRAFT]),
        (unknown, [LeftoverReason.LENGTH]),  # truncated, and no length is agreed upon for its virtual channel
        (b"\x00" + good[1:], [LeftoverReason.VERSION]),
        (good[:-1], [LeftoverReason.TRUNCATED]),
        (good[:6], [LeftoverReason.TRUNCATED]),
        (good[:-1] + bytes([good[-1] ^ 1]), [LeftoverReason.CHECK]),
        (good[:4] + b"\x00\x03" + good[6:], [LeftoverReason.LENGTH]),
    ):
        assert reasons(delimiter.split(candidate, codeword_information_octets=7)) == expected, candidate.hex()


GOOD = frame_of(b"data")


@pytest.mark.conforms("CCSDS 232.0-B-4", "4.4", "frame validation check: version, spacecraft, length, error control")
@pytest.mark.parametrize(
    ("candidate", "expected", "counter"),
    [
        (b"", [], "candidates"),
        (GOOD + b"\x55" * 6, [None, LeftoverReason.FILL], "frames"),
        (GOOD + b"\x55" * 7, [None, LeftoverReason.UNEXPECTED], "unexpected_remainders"),
        (GOOD + b"\x55" * 2 + b"\x54", [None, LeftoverReason.UNEXPECTED], "unexpected_remainders"),
        (GOOD + b"\x80" * 20, [None, LeftoverReason.UNEXPECTED], "unexpected_remainders"),
        (GOOD[:-1], [LeftoverReason.TRUNCATED], "truncated_frames"),
        (GOOD[:4], [LeftoverReason.TRUNCATED], "truncated_frames"),
        (GOOD + GOOD[:-1], [None, LeftoverReason.TRUNCATED], "truncated_frames"),
        (b"\x40" + GOOD[1:], [LeftoverReason.VERSION], "version_errors"),
        (b"\x55" * 7, [LeftoverReason.VERSION], "version_errors"),
        (GOOD[:3] + b"\x06" + GOOD[4:], [LeftoverReason.LENGTH], "length_errors"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]) + GOOD, [LeftoverReason.CHECK], "check_errors"),
        (frame_of(b"x", spacecraft_id=8) + GOOD, [LeftoverReason.SPACECRAFT, None], "foreign_frames"),
    ],
)
def test_what_is_no_frame_gets_its_reason(
    candidate: bytes, expected: list[LeftoverReason | None], counter: str
) -> None:
    delimiter = FrameDelimiter(frame_error_control_present=True, spacecraft_ids=[9])
    parts = delimiter.split(candidate, codeword_information_octets=7)
    assert reasons(parts) == expected
    assert getattr(delimiter.counters, counter) == 1
    balance(delimiter)
    again = FrameDelimiter(frame_error_control_present=True, spacecraft_ids=[9])
    frames = again.frames_of(candidate, codeword_information_octets=7)
    assert frames == [part for part in parts if isinstance(part, DelimitedFrame)]
    assert again.counters == delimiter.counters


def test_fill_of_a_randomized_frame_is_fill_only_where_that_is_so() -> None:
    frame = frame_of(b"randomized", check=False)
    (unit,) = CltuDecoder(randomizer=True).feed(CltuEncoder(randomizer=True).encode(frame))
    assert unit.octets[len(frame) :] != b"\x55" * (len(unit.octets) - len(frame))
    for randomized, reason in ((True, LeftoverReason.FILL), (False, LeftoverReason.UNEXPECTED)):
        delimiter = FrameDelimiter(frame_error_control_present=False, randomized=randomized)
        assert reasons(delimiter.split(unit.octets, codeword_information_octets=7)) == [None, reason]


@pytest.mark.parametrize("code", CODES)
def test_fill_is_shorter_than_a_codeword(code: Code) -> None:
    block = CODES[code].information_octets
    delimiter = FrameDelimiter(frame_error_control_present=True)
    for length, reason in ((block - 1, LeftoverReason.FILL), (block, LeftoverReason.UNEXPECTED)):
        candidate = GOOD + b"\x55" * length
        assert reasons(delimiter.split(candidate, codeword_information_octets=block)) == [None, reason]


def test_frames_of_another_project() -> None:
    if not (CAPTURES / "sim_tc_cltu.hex").exists():
        pytest.skip("sim_tc_cltu.hex is not beside the project directory")
    tables = tomllib.loads((CAPTURES / "captures.toml").read_text())["file"]
    entry = next(table for table in tables if table["file"] == "sim_tc_cltu.hex")
    decoder = CltuDecoder(mode="detect", randomizer=True)
    delimiter = FrameDelimiter(frame_error_control_present=True, spacecraft_ids=[123])
    octets = bytes.fromhex((CAPTURES / "sim_tc_cltu.hex").read_text())
    found = [delimiter.frames_of(unit.octets, codeword_information_octets=7) for unit in decoder.feed(octets)]
    frames = [frame.octets for (frame,) in found]
    assert len(frames) == entry["records"]
    for frame, expected in zip(frames, entry["cltu"], strict=True):
        assert expected["derandomised"].startswith(frame.hex())
    assert delimiter.counters.fill_octets == 7 * 16 - sum(map(len, frames))
    balance(delimiter)
