"""PLOP-1 and PLOP-2: the sequences of modes as the standard draws them, and both ends together."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.coding.cltu import CltuEncoder
from ccsds.coding.cltu_decoder import CltuDecoder, CltuState, ReceivedCltu
from ccsds.errors import ConfigurationError, EncodeError, ProtocolError
from ccsds.procedures.plop import CarrierModulationMode, PhysicalLayerOperations, Radiated, alternating

CLTU = CltuEncoder().encode(b"a frame")


def modes(steps: list[Radiated]) -> str:
    return "".join(str(step.mode.value) for step in steps)


@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "carrier modulation modes CMM-1 to CMM-4")
@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "PLOP-2, with an idle sequence after each CLTU")
@given(st.integers(0, 4), st.integers(1, 3), st.integers(1, 3))
def test_plop_2_keeps_the_carrier_modulated(cltus: int, repetitions: int, idle_octets: int) -> None:
    operations = PhysicalLayerOperations(2, idle_octets=idle_octets)
    steps = list(operations.session([CLTU] * cltus, repetitions=repetitions))
    assert re.fullmatch("12(34)*1", modes(steps))
    assert modes(steps).count("3") == cltus * repetitions
    assert {step.octets for step in steps if step.mode == 4} <= {b"\x55" * idle_octets}


@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "PLOP-1")
@given(st.integers(0, 4), st.integers(1, 3), st.integers(0, 3))
def test_plop_1_switches_it_off_after_each_cltu(cltus: int, repetitions: int, idle_octets: int) -> None:
    operations = PhysicalLayerOperations(1, idle_octets=idle_octets)
    steps = list(operations.session([CLTU] * cltus, repetitions=repetitions))
    assert re.fullmatch("1(2341)*" if idle_octets else "1(231)*", modes(steps))
    assert modes(steps).count("3") == cltus * repetitions


@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "acquisition sequence of 16 octets and more")
@pytest.mark.parametrize(("first_bit", "octet"), [(0, 0x55), (1, 0xAA)])
def test_the_acquisition_sequence_begins_with_either(first_bit: Any, octet: int) -> None:
    operations = PhysicalLayerOperations(2, acquisition_octets=20, acquisition_first_bit=first_bit)
    steps = operations.begin_session()
    assert steps == [
        Radiated(CarrierModulationMode.UNMODULATED, b""),
        Radiated(CarrierModulationMode.ACQUISITION_SEQUENCE, bytes([octet]) * 20),
    ]
    assert alternating(3, first_bit) == bytes([octet]) * 3


def test_calls_out_of_turn() -> None:
    operations = PhysicalLayerOperations(2)
    for use in (lambda: operations.transmit(CLTU), lambda: operations.idle(1), operations.end_session):
        with pytest.raises(ProtocolError, match="PLOP-2: no session has begun"):
            use()
    operations.begin_session()
    assert (operations.in_session, operations.mode) == (True, CarrierModulationMode.ACQUISITION_SEQUENCE)
    with pytest.raises(ProtocolError, match="begun already"):
        operations.begin_session()
    for cltu, repetitions in ((b"", 1), (CLTU, 0)):
        with pytest.raises(EncodeError, match="sent once at least"):
            operations.transmit(cltu, repetitions=repetitions)
    with pytest.raises(EncodeError, match="one octet at least"):
        operations.idle(0)
    assert operations.idle(3) == [Radiated(CarrierModulationMode.IDLE_SEQUENCE, b"\x55" * 3)]
    assert operations.end_session() == [Radiated(CarrierModulationMode.UNMODULATED, b"")]
    assert not operations.in_session
    first = PhysicalLayerOperations(1)
    first.begin_session()
    with pytest.raises(ProtocolError, match="between CLTUs the carrier is unmodulated"):
        first.idle(1)
    first.transmit(CLTU)
    assert not first.end_session()  # it is unmodulated already


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"procedure": 3}, r"plop is 1 or 2, not 3 \[CCSDS 231.0-B-4 §7\]"),
        ({"acquisition_octets": 15}, "acquisition_octets is at least 16, not 15"),
        ({"acquisition_first_bit": 2}, "acquisition_first_bit is 0 or 1"),
        ({"idle_octets": 0}, "idle_octets is at least 1 with PLOP-2, not 0"),
        ({"procedure": 1, "idle_octets": -1}, "idle_octets is at least 0 with PLOP-1"),
    ],
)
def test_parameters_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PhysicalLayerOperations(**options)


def receive(decoder: CltuDecoder, steps: list[Radiated]) -> list[ReceivedCltu]:
    """A receiver whose bit lock follows the modulation of the carrier."""
    received: list[ReceivedCltu] = []
    for step in steps:
        if step.mode == CarrierModulationMode.UNMODULATED:
            received += decoder.deactivate()
        else:
            decoder.activate()
            received += decoder.feed(step.octets)
    return received


@pytest.mark.conforms("CCSDS 231.0-B-4", "7", "repeated transmission of CLTUs")
@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.integers(1, 3), st.sampled_from([1, 2]), st.booleans()
)
def test_both_ends_together(frames: list[bytes], repetitions: int, procedure: Any, randomizer: bool) -> None:
    encoder = CltuEncoder(randomizer=randomizer)
    operations = PhysicalLayerOperations(procedure)
    steps = list(operations.session(map(encoder.encode, frames), repetitions=repetitions))
    decoder = CltuDecoder(randomizer=randomizer, active=False)
    received = receive(decoder, steps)
    expected = [frame for frame in frames for _ in range(repetitions)]
    assert [unit.octets[: len(frame)] for unit, frame in zip(received, expected, strict=True)] == expected
    assert decoder.state == CltuState.INACTIVE


def test_why_plop_2_wants_an_idle_sequence() -> None:
    """A start sequence across the last bits of a frame and the first ones of its tail, the real start being lost.

    The receiver of the standard would miss the next CLTU.  Ours finds it in the rejected codeblock, idle or not.
    """
    encoder = CltuEncoder()
    lost = bytearray(encoder.encode(b"\0" * 14))
    lost[0] ^= 0xFF
    following = encoder.encode(b"the next one")
    tail = 2 + 2 * 8
    lost[tail - 2 : tail] = b"\xeb\x90"  # where noise, or a frame's end, looks like a start
    decoder = CltuDecoder(mode="detect")
    received = [*decoder.feed(bytes(lost) + following), *decoder.finish()]
    assert [unit.octets[:12] for unit in received] == [b"the next one"]
    assert decoder.counters.false_starts == 1
