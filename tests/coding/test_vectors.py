"""Published vectors of the error control fields, the randomizers and Reed-Solomon, and values that are wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from ccsds import _native
from ccsds.coding.randomizer import randomize, sequence_octets
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.errors import IntegrityError
from ccsds.frames.error_control import (
    CRC_16,
    CRC_32,
    append_frame_error_control,
    append_header_error_control,
    correct_header,
    frame_error_control,
    header_error_control,
    verify_frame_error_control,
    verify_header_error_control,
)

Vector = dict[str, Any]
CODES = {"crc16-fecf": CRC_16, "crc32-prox1-uslp": CRC_32}
SEQUENCES = {"tm-8cell": "short", "tm-17cell": "long", "tc": "telecommand"}


@pytest.mark.vectors("01-crc.toml", "check")
def test_remainder(vector: Vector) -> None:
    code, message = CODES[vector["algorithm"]], bytes.fromhex(vector["message"])
    assert frame_error_control(message, code) == int(vector["crc"], 16)
    assert append_frame_error_control(message, code) == message + bytes.fromhex(vector["crc"])


@pytest.mark.vectors("01-crc.toml", "frame")
def test_frame_with_its_field(vector: Vector) -> None:
    frame = bytes.fromhex(vector["frame"])
    assert frame_error_control(frame) == 0
    assert append_frame_error_control(verify_frame_error_control(frame))[-2:] == bytes.fromhex(vector["fecf"])


@pytest.mark.vectors("01-crc.toml", "wrong")
def test_wrong_remainder(vector: Vector) -> None:
    message, wrong = bytes.fromhex(vector["message"]), int(vector["value"], 16)
    assert frame_error_control(message, CRC_16 if len(vector["value"]) == 4 else CRC_32) != wrong


@pytest.mark.vectors("02-randomizers.toml", "randomizer")
def test_sequence(vector: Vector) -> None:
    sequence = SEQUENCES[vector["id"]]
    for key in ("first_16_octets", "period_255_octets", "first_32_octets"):
        if key in vector:
            expected = bytes.fromhex(vector[key])
            assert sequence_octets(sequence, len(expected)) == expected
    assert f"{int.from_bytes(sequence_octets(sequence, 5), 'big'):040b}" == vector["first_40_bits"]
    if sequence == "long":
        assert sequence_octets(sequence, 64)[32:] == bytes.fromhex(vector["octets_32_to_63"])
        digest = hashlib.sha256(sequence_octets(sequence, 16384)).hexdigest()
        assert digest == vector["sha256_first_16384_octets"]
        period = int.from_bytes(sequence_octets(sequence, 131071), "big")
        assert period.bit_count() == 8 * vector["ones_per_period"]


@pytest.mark.vectors("02-randomizers.toml", "wrong")
def test_wrong_sequence(vector: Vector) -> None:
    wrong = bytes.fromhex(vector["first_5_octets"])
    assert wrong not in {sequence_octets("short", 5), sequence_octets("long", 5)}


@pytest.mark.vectors("02-randomizers.toml", "trap")
def test_the_short_sequence_may_be_a_codeblock(vector: Vector) -> None:
    code = ReedSolomonCode(vector["E"], vector["I"])
    short = sequence_octets("short", code.block_octets)
    if vector["is_codeword"]:
        assert code.decode(short).corrected_symbols == 0
    else:
        with pytest.raises(IntegrityError):
            code.decode(short)
    with pytest.raises(IntegrityError):
        code.decode(sequence_octets("long", code.block_octets))


@pytest.mark.vectors("03-reed-solomon.toml", "table")
def test_conventional_to_dual(vector: Vector) -> None:
    # A code word of conventional symbols, each replaced by its dual octet, is one of the dual code.
    table = bytes.fromhex(vector["octets"])
    conventional = ReedSolomonCode(16, 1, basis="conventional").encode(bytes(range(223)))
    assert ReedSolomonCode(16, 1).encode(conventional[:223].translate(table)) == conventional.translate(table)


def message_of(vector: Vector) -> bytes:
    octets = 255 - 2 * vector["E"]
    return bytes(octets - 1) + b"\x01" if vector["id"].startswith("unit") else bytes(range(octets))


@pytest.mark.parametrize("variant", _native.reed_solomon_variants())
@pytest.mark.vectors("03-reed-solomon.toml", "codeword")
def test_codeword(vector: Vector, variant: str) -> None:
    message, parity = message_of(vector), bytes.fromhex(vector["parity"])
    basis, other = ("dual", "conventional") if vector["dual_basis"] else ("conventional", "dual")
    assert _native.ReedSolomon(vector["E"], 1, 0, basis, variant).encode(message) == message + parity
    assert _native.ReedSolomon(vector["E"], 1, 0, other, variant).encode(message) != message + parity


@pytest.mark.vectors("03-reed-solomon.toml", "codeblock")
def test_codeblock(vector: Vector, tables: Callable[[str], dict[str, list[Vector]]]) -> None:
    code = ReedSolomonCode(vector["E"], vector["I"], vector["virtual_fill"])
    full = next(entry for entry in tables("03-reed-solomon.toml")["codeblock"] if "frame" in entry)
    frame = bytes.fromhex(full["frame"])[: code.frame_octets]
    block = frame + bytes.fromhex(vector["check_symbols"])
    assert code.encode(frame) == block
    assert code.decode(block) == (frame, 0)
    conventional = ReedSolomonCode(vector["E"], vector["I"], vector["virtual_fill"], "conventional")
    assert conventional.encode(frame) != block


@pytest.mark.parametrize("variant", _native.reed_solomon_variants())
@pytest.mark.vectors("03-reed-solomon.toml", "real_cadu")
def test_real_cadu(vector: Vector, variant: str) -> None:
    block = randomize(bytes.fromhex(vector["cadu"])[4:], SEQUENCES[vector["randomizer"]])
    assert block[:8] == bytes.fromhex(vector["derandomized_first_8"])
    code = _native.ReedSolomon(vector["E"], vector["I"], 0, "dual", variant)
    assert code.decode(block) == (block[: code.frame_octets], bytes(4))
    assert code.encode(block[: code.frame_octets]) == block


@pytest.mark.parametrize("error_correction", [16, 8])
def test_all_ones_are_a_codeblock_unless_shortened(error_correction: int) -> None:
    code = ReedSolomonCode(error_correction, 4)
    assert code.decode(b"\xff" * code.block_octets).corrected_symbols == 0
    shortened = ReedSolomonCode(error_correction, 4, 400)
    with pytest.raises(IntegrityError):
        shortened.decode(b"\xff" * shortened.block_octets)


@pytest.mark.vectors("07-frames.toml", "aos_fhec", having="fhec")
def test_header_error_control(vector: Vector) -> None:
    header = bytes.fromhex(vector["octets_0_1"]) + b"\x01\x02\x03" + bytes.fromhex(vector["octet_5"])
    assert append_header_error_control(header)[6:] == bytes.fromhex(vector["fhec"])


@pytest.mark.vectors("07-frames.toml", "aos", having="fhec")
def test_header_error_control_of_frames(vector: Vector) -> None:
    head = bytes.fromhex(vector.get("frame") or vector["head"])
    if vector.get("fhec_valid", True):
        assert header_error_control(head) == int(vector["fhec"], 16)
        verify_header_error_control(head)
    else:  # its check symbols are those of another code
        assert header_error_control(head) == 0xD377
        with pytest.raises(IntegrityError):
            verify_header_error_control(head)
        with pytest.raises(IntegrityError):
            correct_header(head)
