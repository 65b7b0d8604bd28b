"""CLTUs with LDPC codes: published ones, both orders of randomizing, both tails, soft symbols in noise, any split."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsds.coding.cltu import CODES, LDPC_TAIL_SEQUENCES, CltuEncoder, Code, Tail
from ccsds.coding.cltu_decoder import CltuDecoder, CltuEnd, CltuState, ReceivedCltu
from ccsds.coding.randomizer import randomize
from ccsds.testing import load_vectors

LDPC: tuple[Code, ...] = ("LDPC (128,64)", "LDPC (512,256)")
NAMES: dict[str, Code] = dict(zip(("tc-128-64", "tc-512-256"), LDPC, strict=True))
CASES = {case["id"]: case for case in load_vectors("231.0-B-4/cltu.toml")}
PUBLISHED = CASES["ldpc64-two-codewords"]
FRAME = bytes.fromhex(PUBLISHED["frame"])


def symbols(octets: bytes, amplitude: float = 1.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    bits = np.unpackbits(np.frombuffer(octets, np.uint8)).astype(np.float32)
    return np.float32(amplitude) * (1 - 2 * bits)


def noisy(octets: bytes, es_n0_db: float, seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Log-likelihood ratios of BPSK symbols in white noise."""
    es_n0 = 10 ** (es_n0_db / 10)
    received = symbols(octets) + np.random.default_rng(seed).normal(0, (2 * es_n0) ** -0.5, 8 * len(octets))
    return (4 * es_n0 * received).astype(np.float32)


def receive(decoder: CltuDecoder, octets: bytes) -> list[ReceivedCltu]:
    return [*decoder.feed(octets), *decoder.finish()]


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2", "CLTU with LDPC: start sequence of 64 bits, fill")
def test_published_cltu() -> None:
    unit = bytes.fromhex(PUBLISHED["cltu"])
    assert CltuEncoder("LDPC (128,64)").encode(FRAME) == unit
    (received,) = receive(CltuDecoder("LDPC (128,64)"), unit)
    assert received.octets == FRAME + b"\x55"
    assert (received.codewords, received.corrected_bits, received.end) == (2, 0, CltuEnd.FINISHED)


@pytest.mark.parametrize("case", [case for case in CASES.values() if "tail" in case], ids=lambda case: case["id"])
def test_cltus_of_another_implementation(case: dict[str, Any]) -> None:
    code = NAMES[case["code"]]
    frame, unit = bytes.fromhex(case["frame"]), bytes.fromhex(case["cltu"])
    assert CltuEncoder(code, tail=case["tail"]).encode(frame) == unit
    (received,) = receive(CltuDecoder(code, tail=case["tail"]), unit)
    assert received.octets == frame + b"\x55" * case["fill_octets"]


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "TC randomizer after LDPC encoding, preset at each codeword")
def test_the_generator_is_preset_at_every_codeword() -> None:
    wrong = bytes.fromhex(CASES["ldpc64-two-codewords-single-seed"]["cltu"])
    assert CltuEncoder("LDPC (128,64)").encode(FRAME) != wrong
    decoder = CltuDecoder("LDPC (128,64)")
    assert [unit.codewords for unit in receive(decoder, wrong)] == [1]


@pytest.mark.conforms("CCSDS 231.0-B-4", "6", "TC randomizer before LDPC encoding, as issue 3 has it")
@pytest.mark.parametrize("code", LDPC)
def test_the_order_of_issue_3_is_an_option(code: Code) -> None:
    facts = CODES[code]
    frame = bytes(range(100))
    unit = CltuEncoder(code, randomize_order="before encoding").encode(frame)
    first = unit[8 : 8 + facts.codeword_octets]
    assert first[: facts.information_octets] == randomize(frame, "telecommand")[: facts.information_octets]
    assert unit != CltuEncoder(code).encode(frame)
    (received,) = receive(CltuDecoder(code, randomize_order="before encoding"), unit)
    assert received.octets[:100] == frame
    whole = CltuEncoder(code, randomize_order="before encoding", randomize_fill=True).encode(frame)
    (received,) = receive(CltuDecoder(code, randomize_order="before encoding"), whole)
    assert received.octets == frame + b"\x55" * (-100 % facts.information_octets)
    (other,) = receive(CltuDecoder(code), unit) or [None]
    assert other is None or other.octets[:100] != frame


@pytest.mark.conforms(
    "CCSDS 231.0-B-4", "5.2.4", "optional tail sequence of LDPC (128,64), of Corrigendum 1 and before"
)
@pytest.mark.parametrize("tail", LDPC_TAIL_SEQUENCES)
def test_each_tail_and_none(tail: Tail) -> None:
    encoder = CltuEncoder("LDPC (128,64)", tail=tail)
    unit = encoder.encode(FRAME)
    assert unit == bytes.fromhex(PUBLISHED["cltu"]) + LDPC_TAIL_SEQUENCES[tail]
    assert len(unit) == encoder.cltu_octets(len(FRAME))
    stream = b"\x55" * 16 + unit + b"\x55" * 20 + unit + b"\x55" * 20
    decoder = CltuDecoder("LDPC (128,64)")  # knows nothing of the tail
    received = receive(decoder, stream)
    assert [unit.octets for unit in received] == [FRAME + b"\x55"] * 2
    assert {unit.end for unit in received} == {CltuEnd.REJECTED if tail == "none" else CltuEnd.TAIL}
    assert decoder.counters.tails == (0 if tail == "none" else 2)
    assert [unit.bit_position for unit in received] == [128, 8 * (36 + len(unit))]


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.2.4", "LDPC without tail sequence")
@pytest.mark.parametrize("code", LDPC)
def test_without_a_tail_the_next_cltu_may_follow_at_once(code: Code) -> None:
    encoder = CltuEncoder(code)
    frames = [random.Random(seed).randbytes(length) for seed, length in enumerate((5, 64, 100, 1024))]
    octets, offsets = encoder.encode_frames(frames)
    received = receive(CltuDecoder(code), octets)
    assert [unit.octets[: len(frame)] for unit, frame in zip(received, frames, strict=True)] == frames
    assert [unit.bit_position for unit in received] == (8 * offsets[:-1]).tolist()


@settings(max_examples=25)
@given(
    st.sampled_from(LDPC),
    st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=3),
    st.integers(0, 9),
    st.lists(st.integers(0, 700), max_size=8),
    st.booleans(),
)
def test_any_split_is_one_stream(code: Code, frames: list[bytes], lead: int, pieces: list[int], inverted: bool) -> None:
    octets, _ = CltuEncoder(code).encode_frames(frames)
    bits = np.concatenate([np.arange(lead) % 2, np.unpackbits(np.frombuffer(octets, np.uint8)) ^ inverted])
    bits = bits.astype(np.uint8)
    whole = CltuDecoder(code, accept_inverted=True)
    expected = [*whole.feed_bits(bits), *whole.finish()]
    assert [unit.octets[: len(frame)] for unit, frame in zip(expected, frames, strict=True)] == frames
    assert {unit.inverted for unit in expected} == {inverted}
    decoder = CltuDecoder(code, accept_inverted=True)
    received: list[ReceivedCltu] = []
    at = 0
    for length in [*pieces, len(bits)]:
        received += decoder.feed_bits(bits[at : at + length])
        at += length
    received += decoder.finish()
    assert received == expected
    assert decoder.counters == whole.counters


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "CLTU reception with LDPC from soft symbols")
@pytest.mark.parametrize(("code", "es_n0_db"), [("LDPC (128,64)", 1.0), ("LDPC (512,256)", 0.0)])
def test_soft_symbols_in_noise(code: Code, es_n0_db: float) -> None:
    # Rate 1/2: Eb/N0 is 3 dB more.
    encoder = CltuEncoder(code)
    frames = [random.Random(seed).randbytes(60) for seed in range(20)]
    stream = b"".join(b"\x55" * 8 + encoder.encode(frame) for frame in frames) + b"\x55" * 64
    llr = noisy(stream, es_n0_db, seed=1)
    decoder = CltuDecoder(code)
    received = [*decoder.feed_soft(llr[:7001]), *decoder.feed_soft(llr[7001:]), *decoder.finish()]
    octets = [unit.octets[:60] for unit in received]
    assert sum(frame in octets for frame in frames) >= 19
    raw = int(np.count_nonzero((llr < 0) != (symbols(stream) < 0)))
    assert 0 < decoder.counters.corrected_bits <= raw
    positions = {8 * (8 + number * (8 + encoder.cltu_octets(60))) for number in range(20)}
    assert sum(unit.bit_position in positions for unit in received) >= 19


@pytest.mark.conforms("CCSDS 231.0-B-4", "5.3", "start sequence of 64 bits with a managed number of tolerated errors")
@pytest.mark.parametrize(("errors", "found"), [(3, True), (4, False)])
def test_errors_in_the_start_sequence(errors: int, found: bool) -> None:
    unit = bytearray(CltuEncoder("LDPC (128,64)").encode(FRAME))
    for at in range(errors):
        unit[at] ^= 0x10
    received = receive(CltuDecoder("LDPC (128,64)", start_sequence_tolerated_errors=3), bytes(unit))
    assert [unit.start_sequence_bit_errors for unit in received] == [errors] * found


def test_errors_in_codewords_are_corrected_and_counted() -> None:
    unit = bytearray(CltuEncoder("LDPC (128,64)", tail="corrigendum 1").encode(FRAME))
    for at in (9, 14, 30, 45, 50):
        unit[at] ^= 0x04
    (received,) = receive(CltuDecoder("LDPC (128,64)"), bytes(unit))
    assert (received.octets, received.corrected_bits, received.end) == (FRAME + b"\x55", 3, CltuEnd.TAIL)


def test_states_and_limits() -> None:
    unit = CltuEncoder("LDPC (128,64)").encode(bytes(80))
    decoder = CltuDecoder("LDPC (128,64)", active=False, maximum_cltu_octets=8 + 5 * 16)
    assert not decoder.feed(unit)
    decoder.activate()
    (cut,) = decoder.feed(unit)
    assert (cut.end, cut.codewords, cut.bit_position) == (CltuEnd.LIMIT, 5, 8 * len(unit))
    assert not decoder.feed(unit[:45])
    assert decoder.state == CltuState.DECODE
    (received,) = decoder.deactivate()
    assert (received.end, received.codewords) == (CltuEnd.DEACTIVATED, 2)
    assert decoder.state == CltuState.INACTIVE
    assert decoder.counters.inactive_bits == 8 * len(unit)
    exact = CltuDecoder("LDPC (128,64)", maximum_cltu_octets=len(unit))
    assert [unit.end for unit in exact.feed(unit + b"\x55" * 16)] == [CltuEnd.REJECTED]


def test_noise_gives_nothing_and_is_accounted_for() -> None:
    llr = np.random.default_rng(2).normal(0, 1, 200_000).astype(np.float32)
    decoder = CltuDecoder("LDPC (512,256)")
    assert not [*decoder.feed_soft(llr), *decoder.finish()]
    assert decoder.counters.other_bits == decoder.counters.bits == len(llr)


def test_what_is_no_bit_is_refused() -> None:
    decoder = CltuDecoder("LDPC (128,64)")
    with pytest.raises(ValueError, match="bit 2 is 2, not 0 or 1"):
        decoder.feed_bits(b"\0\1\2")
    with pytest.raises(ValueError, match="soft symbol 1 is not a number"):
        decoder.feed_soft(np.array([1.0, np.nan], np.float32))
    assert decoder.counters.bits == 0
