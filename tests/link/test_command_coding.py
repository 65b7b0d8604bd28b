"""Managed parameters of a telecommand channel: both ends from one object, and errors that name key and clause."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ccsds.coding.cltu_decoder import CltuState
from ccsds.errors import ConfigurationError
from ccsds.link.command_coding import CommandCoding
from ccsds.procedures.plop import CarrierModulationMode


@pytest.mark.conforms("CCSDS 231.0-B-4", "8", "both ends from one set of managed parameters")
@pytest.mark.parametrize("mode", ["detect", "correct"])
@pytest.mark.parametrize("randomizer", [None, False, True])
def test_both_ends_agree(mode: Any, randomizer: bool | None) -> None:
    coding = CommandCoding(mode=mode, randomizer=randomizer, plop=1, repetitions=2, acquisition_octets=17)
    operations, encoder, decoder = coding.physical_layer_operations(), coding.encoder(), coding.decoder(active=False)
    assert decoder.state == CltuState.INACTIVE
    decoder.activate()
    steps = operations.begin_session()
    steps += operations.transmit(encoder.encode(b"fourteen octet"), repetitions=coding.repetitions)
    assert [len(step.octets) for step in steps if step.mode == CarrierModulationMode.ACQUISITION_SEQUENCE] == [17, 17]
    received = decoder.feed(b"".join(step.octets for step in steps))
    assert [unit.octets for unit in received] == [b"fourteen octet"] * 2
    assert encoder.parameters == decoder.parameters


@pytest.mark.conforms("CCSDS 231.0-B-4", "8", "managed parameters: code, tail, tolerated errors, randomizer, PLOP")
def test_from_a_profile() -> None:
    tree = {"code": "LDPC (128,64)", "tail": "corrigendum 1", "start_sequence_tolerated_errors": 8, "plop": 2}
    coding = msgspec.convert(tree, CommandCoding)
    assert coding == CommandCoding(**tree)  # type: ignore[arg-type]
    assert coding.encoder().parameters.randomizer
    assert coding.encoder().parameters.randomize_order == "after encoding"
    assert hash(coding) == hash(msgspec.convert(tree, CommandCoding))


@pytest.mark.conforms("CCSDS 231.0-B-4", "8", "managed parameters that contradict the standard refused")
@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"code": "BHC"}, r"\$\.code"),
        ({"acquisition_octets": 8}, r"acquisition_octets"),
        ({"acquisition_first_bit": 3}, r"acquisition_first_bit"),
        ({"idle_octets": 0}, r"idle_octets is at least 1 with PLOP-2, not 0 \[CCSDS 231.0-B-4 §7\]"),
        ({"tail": "none"}, r"tail of BCH is 'standard', not 'none' \[CCSDS 231.0-B-4 Cor. 1 §5.2.4\]"),
        ({"mode": "detect", "start_sequence_tolerated_errors": 1}, r"is 0 to 0, not 1 \[CCSDS 231.0-B-4 §5.2.2\]"),
        ({"code": "LDPC (512,256)", "mode": "detect"}, r"'detect' is for BCH \[CCSDS 231.0-B-4 §4\]"),
        ({"code": "LDPC (512,256)", "randomizer": False}, r"it is mandatory \[CCSDS 231.0-B-4 §6\]"),
        ({"code": "LDPC (512,256)", "maximum_cltu_octets": 71}, r"leaves no room for a codeword"),
        ({"repetitions": 0}, "repetitions"),
        ({"aquisition_octets": 16}, "unknown field `aquisition_octets`"),
    ],
)
def test_errors_name_the_key_and_the_clause(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(tree, CommandCoding)


def test_made_in_code_the_same_errors_are_ours() -> None:
    with pytest.raises(ConfigurationError, match=r"idle_octets is at least 1 with PLOP-2"):
        CommandCoding(idle_octets=0)
    with pytest.raises(ConfigurationError, match="repetitions is at least 1"):
        CommandCoding(repetitions=0)
