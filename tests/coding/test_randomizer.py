"""Randomizers against the shift registers of the standard, one bit at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding.randomizer import Sequence, randomize, sequence_octets

REGISTERS = {
    "short": (0xFF, (0, 3, 5, 7), 7),
    "long": (0x18E38, (0, 14), 16),
    "telecommand": (0xFF, (0, 1, 2, 3, 4, 6), 7),
}


def slow_sequence(sequence: str, octets: int) -> bytes:
    register, taps, top = REGISTERS[sequence]
    bits = []
    for _ in range(8 * octets):
        bits.append(register & 1)
        feedback = sum(register >> tap for tap in taps) & 1
        register = register >> 1 | feedback << top
    return np.packbits(bits).tobytes()


SLOW = {sequence: slow_sequence(sequence, 17000) for sequence in REGISTERS}
sequences = st.sampled_from(["short", "long", "telecommand"])


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "TC randomizer sequence: generator of 8 bits, preset to ones")
@pytest.mark.conforms("CCSDS 131.0-B-5", "10", "pseudo-randomizers, of 255 and of 131071 bits")
@given(sequences, st.integers(0, 17000))
def test_sequence_equals_the_shift_register(sequence: Sequence, length: int) -> None:
    assert sequence_octets(sequence, length) == SLOW[sequence][:length]


@given(st.binary(max_size=3000), sequences, st.none() | st.integers(1, 3000))
def test_every_block_starts_the_sequence_anew(octets: bytes, sequence: Sequence, block_octets: int | None) -> None:
    step = block_octets or max(len(octets), 1)
    blocks = (octets[at : at + step] for at in range(0, len(octets), step))
    expected = b"".join(bytes(a ^ b for a, b in zip(block, SLOW[sequence], strict=False)) for block in blocks)
    randomized = randomize(octets, sequence, block_octets)
    assert randomized == expected
    assert randomize(randomized, sequence, block_octets) == octets


@pytest.mark.conforms("CCSDS 131.0-B-5", "10", "pseudo-randomizers, of 255 and of 131071 bits")
def test_the_long_sequence_repeats_after_131071_octets() -> None:
    twice = sequence_octets("long", 2 * 131071)
    assert twice[:131071] == twice[131071:]
    assert sequence_octets("long", 131071) == twice[:131071]


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda octets: np.frombuffer(octets, np.uint8)])
def test_any_buffer_is_taken(kind: type) -> None:
    octets = bytes(range(256)) * 30
    assert randomize(kind(octets), "long", 1000) == randomize(octets, "long", 1000)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="'short', 'long' or 'telecommand'"):
        randomize(b"", "medium")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="block_octets"):
        randomize(b"abc", "short", 0)
    with pytest.raises(OverflowError):
        sequence_octets("short", -1)
    with pytest.raises(BufferError):
        randomize(memoryview(bytes(10))[::2])
