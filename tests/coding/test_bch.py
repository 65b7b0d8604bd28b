"""The BCH code of telecommand: published codeblocks, every error pattern it is for, and the division bit by bit."""

from __future__ import annotations

import importlib.util
import random
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding import bch
from ccsds.errors import EncodeError, TruncatedError
from ccsds.testing import load_vectors

CASES = load_vectors("231.0-B-4/cltu.toml")


def load_oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slow_cltu", Path(__file__).with_name("slow_cltu.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slow = load_oracle()
blocks_of_information = st.binary(min_size=0, max_size=70).map(lambda octets: octets[: len(octets) // 7 * 7])


def flipped(octets: bytes, *bits: int) -> bytes:
    changed = bytearray(octets)
    for bit in bits:
        changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


@pytest.mark.conforms("CCSDS 231.0-B-4", "3", "BCH (63,56) encoding: complemented parity, filler bit 0")
@pytest.mark.parametrize("case", [case for case in CASES if case["kind"] == "bch_block"], ids=lambda case: case["id"])
def test_published_codeblocks(case: dict[str, Any]) -> None:
    information = bytes.fromhex(case["info"])
    codeblock = information + bytes.fromhex(case["parity_octet"])
    assert bch.encode(information) == codeblock
    for mode in ("detect", "correct"):
        decoded, corrected = bch.decode(codeblock, mode)
        assert (decoded, corrected.tolist()) == (information, [0])


@pytest.mark.conforms("CCSDS 231.0-B-4", "3", "BCH (63,56) encoding: complemented parity, filler bit 0")
def test_parity_is_complemented_and_the_filler_bit_is_zero() -> None:
    assert bch.encode(bytes(7)) == bytes(7) + b"\xfe"
    # A placeholder of zeros, as some published dumps have it, is no codeblock; seven errors look like one.
    assert bch.decode(bytes(8), "detect").corrected_bits.tolist() == [-1]
    assert bch.decode(bytes(8), "correct").corrected_bits.tolist() == [1]
    for case in CASES:
        if case["kind"] == "bch_block":
            assert int(case["parity_octet"], 16) & 1 == 0


@given(blocks_of_information)
def test_encoding_equals_the_division(information: bytes) -> None:
    bits = slow.bits_of(information)
    words = [bits[at : at + 56] for at in range(0, len(bits), 56)]
    assert bch.encode(information) == slow.octets_of("".join(word + slow.parity(word) + "0" for word in words))


@given(
    st.binary(max_size=80).map(lambda octets: octets[: len(octets) // 8 * 8]), st.sampled_from(["detect", "correct"])
)
def test_any_octets_are_judged_as_the_slow_way_does(codeblocks: bytes, mode: bch.Mode) -> None:
    information, corrected = bch.decode(bytearray(codeblocks), mode)
    for number in range(len(codeblocks) // 8):
        block = codeblocks[8 * number : 8 * number + 8]
        expected = slow.decode_block(slow.bits_of(block), mode == "correct")
        got = information[7 * number : 7 * number + 7]
        if expected is None:
            assert (got, corrected[number]) == (block[:7], -1)
        else:
            assert (got, corrected[number]) == (slow.octets_of(expected[0]), expected[1])


@pytest.mark.conforms("CCSDS 231.0-B-4", "3", "BCH decoding: correction of one bit, detection of two")
@pytest.mark.conforms("CCSDS 231.0-B-4", "3", "BCH decoding: error detection of up to three bits")
def test_every_pattern_of_errors_that_the_code_is_for() -> None:
    information = random.Random(1).randbytes(7)
    word = bch.encode(information)
    ones = [flipped(word, bit) for bit in range(63)]
    decoded, corrected = bch.decode(b"".join(ones), "correct")
    assert decoded == information * 63
    assert corrected.tolist() == [1] * 63
    assert set(bch.decode(b"".join(ones), "detect").corrected_bits.tolist()) == {-1}
    twos = b"".join(flipped(word, *bits) for bits in combinations(range(63), 2))
    threes = b"".join(flipped(word, *bits) for bits in combinations(range(63), 3))
    assert set(bch.decode(twos, "correct").corrected_bits.tolist()) == {-1}
    assert set(bch.decode(twos + threes, "detect").corrected_bits.tolist()) == {-1}
    # Three errors are beyond correction: of them, one in 63 is the uncorrectable remainder, the rest goes wrong.
    assert 1 in bch.decode(threes, "correct").corrected_bits.tolist()


def test_the_filler_bit_is_no_part_of_the_code() -> None:
    word = flipped(bch.encode(b"command"), 63)
    assert bch.decode(word, "detect") == (b"command", np.array([0], np.int8))


def test_a_million_octets_at_once() -> None:
    information = random.Random(2).randbytes(7 * 150_000)
    decoded, corrected = bch.decode(bch.encode(information), "detect")
    assert decoded == information
    assert not corrected.any()


def test_wrong_arguments() -> None:
    with pytest.raises(EncodeError, match=r"8 octets are not a whole number of blocks of 7 \[CCSDS 231.0-B-4 §3\]"):
        bch.encode(bytes(8))
    with pytest.raises(TruncatedError, match="BCH codeblock, octet 16: a codeblock has 8 octets, the last one 3"):
        bch.decode(bytes(19))
    with pytest.raises(ValueError, match="'detect' or 'correct'"):
        bch.decode(bytes(8), "repair")  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        bch.encode(memoryview(bytes(14))[::2])
