"""CLTUs in a stream: the decoder against the bit by bit oracle, any split, every tolerance, every end."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds.coding.cltu import CltuEncoder
from ccsds.coding.cltu_decoder import CltuBatch, CltuDecoder, CltuEnd, CltuState, ReceivedCltu
from ccsds.errors import ConfigurationError, ProtocolError

IDLE = b"\x55"


def load_oracle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slow_cltu", Path(__file__).with_name("slow_cltu.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slow = load_oracle()


def bit_array(bits: str) -> bytes:
    return bytes(map(int, bits))


@st.composite
def streams(draw: st.DrawFn) -> str:
    """Bits of idle, noise, and CLTUs: whole, damaged, cut short, inverted, one after the other."""
    bits = ""
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["idle", "noise", "cltu", "damaged", "cut", "inverted", "start"]))
        if kind == "idle":
            bits += "01" * draw(st.integers(0, 40)) + draw(st.sampled_from(["", "0"]))
        elif kind == "noise":
            bits += f"{draw(st.integers(0, (1 << 200) - 1)):0200b}"[: draw(st.integers(0, 200))]
        elif kind == "start":
            bits += slow.START
        else:
            unit = slow.bits_of(CltuEncoder(randomizer=True).encode(draw(st.binary(min_size=1, max_size=30))))
            if kind == "damaged":
                for at in draw(st.lists(st.integers(0, len(unit) - 1), min_size=1, max_size=4)):
                    unit = slow.flipped(unit, at)
            elif kind == "cut":
                unit = unit[: draw(st.integers(1, len(unit)))]
            bits += unit.translate(slow.INVERTED) if kind == "inverted" else unit
    return bits


options = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["detect", "correct"]),
        "randomizer": st.booleans(),
        "accept_inverted": st.booleans(),
        "maximum_cltu_octets": st.sampled_from([26, 42, 4096]),
    }
)


def expected(bits: str, chosen: dict[str, Any]) -> list[ReceivedCltu]:
    found = slow.receive(
        bits,
        correct=chosen["mode"] == "correct",
        tolerated=int(chosen["mode"] == "correct"),
        accept_inverted=chosen["accept_inverted"],
        derandomize=chosen["randomizer"],
        most=(chosen["maximum_cltu_octets"] - 10) // 8,
    )
    return [ReceivedCltu(*row[:-1], CltuEnd(row[-1])) for row in found]


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "CLTU reception with BCH at any bit offset")
@settings(max_examples=150)
@given(streams(), options)
def test_equals_the_oracle(bits: str, chosen: dict[str, Any]) -> None:
    decoder = CltuDecoder(**chosen)
    assert [*decoder.feed_bits(bit_array(bits)), *decoder.finish()] == expected(bits, chosen)


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "octets, bits and soft symbols, in any split")
@settings(max_examples=150)
@given(streams(), options, st.lists(st.tuples(st.sampled_from("obs"), st.integers(0, 90)), max_size=40))
def test_any_split_into_octets_bits_and_symbols_is_one_stream(
    bits: str, chosen: dict[str, Any], pieces: list[tuple[str, int]]
) -> None:
    decoder = CltuDecoder(**chosen)
    received: list[ReceivedCltu] = []
    at = 0
    for kind, length in [*pieces, ("b", len(bits))]:
        piece = bits[at : at + length]
        if kind == "o":
            piece = piece[: len(piece) // 8 * 8]
            received += decoder.feed(slow.octets_of(piece))
        elif kind == "b":
            received += decoder.feed_bits(np.frombuffer(bit_array(piece), np.uint8))
        else:
            received += decoder.feed_soft(np.array([0.3 - 0.5 * int(bit) for bit in piece], np.float32))
        at += len(piece)
    received += decoder.finish()
    assert received == expected(bits, chosen)
    counters = decoder.counters
    assert (counters.bits, counters.inactive_bits) == (len(bits), 0)
    assert counters.cltus == len(received)
    assert counters.codewords == sum(unit.codewords for unit in received)
    assert counters.corrected_bits == sum(unit.corrected_bits for unit in received)
    assert counters.cltu_bits == sum(unit.end_bit_position - unit.bit_position for unit in received)
    assert counters.other_bits == len(bits) - counters.cltu_bits
    assert counters.inverted_cltus == sum(unit.inverted for unit in received)


@given(st.binary(max_size=3000), options)
def test_any_octets_are_taken_and_accounted_for(octets: bytes, chosen: dict[str, Any]) -> None:
    decoder = CltuDecoder(**chosen)
    received = [*decoder.feed(octets), *decoder.finish()]
    assert all(len(unit.octets) == 7 * unit.codewords > 0 for unit in received)
    positions = [position for unit in received for position in (unit.bit_position, unit.end_bit_position)]
    assert positions == sorted(positions)
    assert decoder.counters.bits == 8 * len(octets)


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "start sequence with no error when detecting, one when correcting")
@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize(("mode", "tolerated"), [("detect", 0), ("correct", 1)])
def test_errors_in_the_start_sequence(offset: int, mode: Any, tolerated: int) -> None:
    frame = b"a frame"
    unit = slow.bits_of(CltuEncoder().encode(frame))
    lead = ("01" * 70)[: 128 + offset]
    for damaged in [(), *((at,) for at in range(16)), (3, 9)]:
        bits = unit
        for at in damaged:
            bits = slow.flipped(bits, at)
        received = CltuDecoder(mode=mode).feed_bits(bit_array(lead + bits))
        if len(damaged) <= tolerated:
            assert (received[0].octets, received[0].bit_position) == (frame, len(lead))
            assert received[0].start_sequence_bit_errors == len(damaged)
        else:
            assert not received


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "one corrected error in each codeblock of a CLTU")
def test_one_error_in_each_codeblock() -> None:
    frame = random.Random(3).randbytes(700)
    unit = bytearray(CltuEncoder(randomizer=True).encode(frame))
    for block in range(100):
        unit[2 + 8 * block + block % 8] ^= 1 << (1 + block % 7)
    corrected = CltuDecoder(mode="correct", randomizer=True).feed(unit)[0]
    assert (corrected.octets, corrected.corrected_bits, corrected.end) == (frame, 100, CltuEnd.TAIL)
    detecting = CltuDecoder(mode="detect", randomizer=True)
    assert not [*detecting.feed(unit), *detecting.finish()]
    assert detecting.counters.false_starts == 1


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "decoding ends at the first rejected codeword")
def test_decoding_ends_at_the_first_rejected_codeblock() -> None:
    unit = bytearray(CltuEncoder().encode(bytes(range(70))))
    unit[2 + 8 * 4] ^= 0x11  # two errors in the fifth
    decoder = CltuDecoder()
    (received,) = decoder.feed(bytes(unit))
    assert (received.octets, received.end, received.codewords) == (bytes(range(28)), CltuEnd.REJECTED, 4)
    assert received.end_bit_position == 16 + 4 * 64
    assert decoder.counters.rejected_codewords == 1
    assert decoder.state == CltuState.SEARCH


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "next start sequence found inside a rejected codeblock")
def test_the_next_cltu_may_follow_at_once_and_may_begin_in_a_rejected_codeblock() -> None:
    encoder = CltuEncoder()
    first, second = encoder.encode(b"first 1"), encoder.encode(b"second 2")
    assert [unit.octets[:7] for unit in CltuDecoder().feed(first + second)] == [b"first 1", b"second "]
    without_tail = first[:-8] + second  # the codeblock in the tail's place begins with the second start sequence
    received = CltuDecoder().feed(without_tail)
    assert [unit.octets[:7] for unit in received] == [b"first 1", b"second "]
    assert [unit.end for unit in received] == [CltuEnd.REJECTED, CltuEnd.TAIL]


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "states INACTIVE, SEARCH and DECODE")
def test_states() -> None:
    unit = CltuEncoder().encode(bytes(70))
    decoder = CltuDecoder(active=False)
    assert decoder.state == CltuState.INACTIVE
    assert not decoder.feed(unit)
    decoder.activate()
    assert decoder.state == CltuState.SEARCH
    assert not decoder.feed(IDLE * 3 + unit[:30])
    assert decoder.state == CltuState.DECODE
    decoder.activate()  # already is
    assert decoder.state == CltuState.DECODE
    (received,) = decoder.deactivate()
    assert (received.end, received.codewords, received.bit_position) == (CltuEnd.DEACTIVATED, 3, 8 * len(unit) + 24)
    assert decoder.state == CltuState.INACTIVE
    assert not decoder.deactivate()
    decoder.activate()
    decoder.feed(unit[:20])
    (received,) = decoder.finish()
    assert (received.end, received.codewords) == (CltuEnd.FINISHED, 2)
    assert decoder.counters.inactive_bits == 8 * len(unit)
    for use in (decoder.finish, decoder.activate, decoder.deactivate, lambda: decoder.feed(b"")):
        with pytest.raises(ProtocolError, match="finished"):
            use()


@pytest.mark.conforms("CCSDS 231.0-B-4", "8", "maximum length of a CLTU")
def test_a_cltu_of_the_greatest_length_ends_with_its_tail_and_a_longer_one_is_cut() -> None:
    encoder = CltuEncoder()
    unit = encoder.encode(bytes(70))
    assert CltuDecoder(maximum_cltu_octets=len(unit)).feed(unit)[0].end == CltuEnd.TAIL
    cut = CltuDecoder(maximum_cltu_octets=len(unit) - 8).feed(unit)[0]
    assert (cut.end, cut.codewords, cut.end_bit_position) == (CltuEnd.LIMIT, 9, 16 + 9 * 64)


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "inverted streams, as an option")
def test_inverted_streams_are_taken_where_asked_for() -> None:
    unit = bytes(octet ^ 0xFF for octet in CltuEncoder(randomizer=True).encode(b"inverted frame"))
    assert not CltuDecoder(randomizer=True).feed(unit)
    (received,) = CltuDecoder(randomizer=True, accept_inverted=True).feed(IDLE + unit)
    assert (received.octets, received.inverted, received.bit_position) == (b"inverted frame", True, 8)


def test_a_batch_is_a_sequence_with_columns() -> None:
    encoder = CltuEncoder()
    octets, offsets = encoder.encode_frames([bytes(7 * length) for length in range(1, 6)])
    batch = CltuDecoder().feed(octets)
    assert len(batch) == 5
    assert [len(unit.octets) for unit in batch] == [7, 14, 21, 28, 35]
    assert batch[-1] == batch[4] == list(batch)[4]
    assert batch[1:3] == [batch[1], batch[2]]
    assert batch.offsets.tolist() == [0, 7, 21, 42, 70, 105]
    assert batch.column("bit_position").tolist() == (8 * offsets[:-1]).tolist()
    assert batch.column("end").tolist() == [CltuEnd.TAIL] * 5
    assert "5" in repr(batch)
    empty = CltuDecoder().feed(b"")
    assert isinstance(empty, CltuBatch)
    assert (len(empty), list(empty), empty.column("end").tolist()) == (0, [], [])
    with pytest.raises(IndexError):
        batch[5]
    with pytest.raises(KeyError):
        batch.column("ends")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "detect", "start_sequence_tolerated_errors": 1}, r"BCH, mode 'detect', is 0 to 0, not 1.*§5.2.2"),
        ({"start_sequence_tolerated_errors": 2}, "is 0 to 1, not 2"),
        ({"mode": "repair"}, "mode is 'detect' or 'correct', not 'repair'"),
        ({"code": "LDPC (128,64)", "mode": "detect"}, "'detect' is for BCH"),
        ({"code": "LDPC (128,64)", "start_sequence_tolerated_errors": 21}, "is 0 to 20, not 21"),
    ],
)
def test_parameters_that_contradict_the_standard(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CltuDecoder(**options)


@pytest.mark.parametrize(
    "use",
    [
        lambda decoder: decoder.feed_bits(b"\0\1\2"),
        lambda decoder: decoder.feed_soft(np.array([1.0, np.nan], np.float32)),
    ],
)
def test_what_is_no_bit_is_refused(use: Callable[[CltuDecoder], object]) -> None:
    decoder = CltuDecoder()
    with pytest.raises(ValueError, match=r"bit 2 is 2, not 0 or 1|soft symbol 1 is not a number"):
        use(decoder)
    assert decoder.counters.bits == 0


def test_noise_makes_candidates_and_all_of_it_is_accounted_for() -> None:
    noise = random.Random(5).randbytes(1 << 20)
    decoder = CltuDecoder(mode="detect")
    received = [*decoder.feed(noise), *decoder.finish()]
    counters = decoder.counters
    starts = counters.cltus + counters.false_starts
    assert 100 < starts < 160  # one in 2^16 positions
    assert len(received) == counters.cltus < 10  # one codeblock in 128 passes
