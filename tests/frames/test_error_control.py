"""Error control fields against crcmod and against the code (10, 6) written out slowly."""

from __future__ import annotations

import itertools
import subprocess
import sys

import crcmod
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import EncodeError, IntegrityError, TruncatedError
from ccsds.frames.error_control import (
    CRC_16,
    CRC_32,
    CyclicCode,
    append_frame_error_control,
    append_header_error_control,
    correct_header,
    frame_error_control,
    header_error_control,
    verify_frame_error_control,
    verify_header_error_control,
)

PEERS = {
    CRC_16: crcmod.mkCrcFun(0x11021, initCrc=0xFFFF, rev=False),
    CRC_32: crcmod.mkCrcFun(0x100A00805, initCrc=0, rev=False),
}
kinds = st.sampled_from([CRC_16, CRC_32])
headers = st.binary(min_size=6, max_size=6)


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.6", "frame error control field")
@given(st.binary(max_size=2100), kinds)
def test_remainder_equals_crcmod(octets: bytes, code: CyclicCode) -> None:
    assert frame_error_control(octets, code) == PEERS[code](octets)


@pytest.mark.parametrize("code", [CRC_16, CRC_32], ids=lambda code: code.name)
def test_remainder_equals_crcmod_at_every_length(code: CyclicCode) -> None:
    octets = bytes(i * i % 251 for i in range(70_000))
    for length in [*range(300), 1113, 1115, 4095, 4096, 4097, 65_542, 70_000]:
        assert frame_error_control(octets[:length], code) == PEERS[code](octets[:length]), length


@given(st.binary(max_size=300), kinds, st.sampled_from([bytes, bytearray, memoryview]))
def test_verify_inverts_append(octets: bytes, code: CyclicCode, kind: type) -> None:
    frame = append_frame_error_control(kind(octets), code)
    assert frame_error_control(frame, code) == 0
    assert verify_frame_error_control(kind(frame), code) == octets


@pytest.mark.conforms("CCSDS 132.0-B-3", "4.1.6", "frame error control decoding")
@given(st.binary(min_size=1, max_size=300), kinds, st.data())
def test_damage_is_noticed(octets: bytes, code: CyclicCode, data: st.DataObject) -> None:
    frame = bytearray(append_frame_error_control(octets, code))
    start = data.draw(st.integers(0, len(frame) - 2))
    frame[start] ^= data.draw(st.integers(1, 255))
    frame[start + 1] ^= data.draw(st.integers(0, 255))  # a burst of at most 16 bits is always found
    with pytest.raises(IntegrityError, match=code.name) as caught:
        verify_frame_error_control(frame, code, unit="TM transfer frame")
    assert (caught.value.unit, caught.value.octet_offset) == ("TM transfer frame", len(octets))


def test_no_room_for_a_field() -> None:
    with pytest.raises(TruncatedError):
        verify_frame_error_control(b"\xff")
    with pytest.raises(TruncatedError):
        verify_frame_error_control(b"abc", CRC_32)
    assert verify_frame_error_control(b"\xff\xff") == b""  # the field of nothing


def multiply(a: int, b: int) -> int:
    product = 0
    for bit in range(4):
        product ^= a << bit if b >> bit & 1 else 0
    for bit in (6, 5, 4):
        product ^= 0b10011 << (bit - 4) if product >> bit & 1 else 0
    return product


ROOTS = []
_power = 1
for _exponent in range(10):
    if _exponent >= 6:
        ROOTS.append(_power)
    _power = multiply(_power, 2)


def symbols_of(header: bytes) -> list[int]:
    protected = header[0:2] + header[5:8]
    return [half for octet in protected for half in (octet >> 4, octet & 15)]


def is_codeword(header: bytes) -> bool:
    for root in ROOTS:
        value = 0
        for symbol in symbols_of(header):
            value = multiply(value, root) ^ symbol
        if value:
            return False
    return True


def changed(header: bytes, symbol: int, value: int) -> bytes:
    octets = bytearray(header)
    octets[(0, 1, 5, 6, 7)[symbol // 2]] ^= value if symbol % 2 else value << 4
    return bytes(octets)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.6", "frame header error control, encoding")
@given(headers)
def test_header_with_its_field_has_all_the_roots(header: bytes) -> None:
    whole = append_header_error_control(header)
    assert whole[:6] == header
    assert is_codeword(whole)
    assert header_error_control(whole) == int.from_bytes(whole[6:], "big")
    verify_header_error_control(whole + b"what follows")
    assert correct_header(whole) == (whole, 0)


@pytest.mark.conforms("CCSDS 732.0-B-5", "4.1.2.6", "frame header error control, correction of up to two symbols")
@given(headers, st.sampled_from(list(itertools.combinations(range(10), 2))), st.integers(1, 15), st.integers(0, 15))
def test_two_symbols_are_corrected(header: bytes, places: tuple[int, int], first: int, second: int) -> None:
    sent = append_header_error_control(header)
    received = changed(changed(sent, places[0], first), places[1], second)
    with pytest.raises(IntegrityError, match="expected"):
        verify_header_error_control(received)
    assert correct_header(received) == (sent, 1 + (second != 0))


@given(st.binary(min_size=8, max_size=8))
def test_any_header_becomes_a_near_codeword_or_is_refused(received: bytes) -> None:
    try:
        header, count = correct_header(received)
    except IntegrityError:
        return
    assert is_codeword(header)
    assert header[2:5] == received[2:5]
    assert sum(a != b for a, b in zip(symbols_of(header), symbols_of(received), strict=True)) == count <= 2


def test_short_headers() -> None:
    with pytest.raises(EncodeError):
        header_error_control(bytes(5))
    for check in (verify_header_error_control, correct_header):
        with pytest.raises(TruncatedError):
            check(bytes(7))


def test_importing_does_not_load_numpy() -> None:
    modules = "ccsds.frames.error_control, ccsds.coding.reed_solomon, ccsds.coding.randomizer"
    program = f"import sys, ccsds, {modules}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
