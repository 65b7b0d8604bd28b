"""Encapsulation packets: published octets, the four headers, what must be refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import DecodeError, EncodeError
from ccsds.packets.encapsulation_packet import ENCAPSULATION_PROTOCOL_IDS, HEADERS, EncapsulationPacket
from ccsds.testing import load_vectors

CASES = load_vectors("133.1-B-3/encapsulation_packet.toml")


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] == kind]


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2", "packet header, from published octets")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.5", "user defined field")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.6", "encapsulation protocol identifier extension")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.8", "packet length")
@pytest.mark.parametrize("case", of_kind("header"))
def test_published_headers(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    length = case["fields"].get("packet_length", 1)
    octets += bytes(length - len(octets))
    packet = EncapsulationPacket.decode(octets)
    assert {name: getattr(packet, name) for name in case["fields"]} == case["fields"]
    assert packet.encode() == octets


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1", "encapsulation packets, from published octets")
@pytest.mark.parametrize("case", of_kind("packet"))
def test_published_packets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    packet = EncapsulationPacket.decode(octets)
    assert len(packet) == case["total_octets"]
    assert packet.encode() == octets


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.2", "packet version number 7; others refused")
@pytest.mark.parametrize("case", of_kind("reject"))
def test_published_octets_that_are_none(case: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        EncapsulationPacket.decode(bytes.fromhex(case["octets"]))
    with pytest.raises(DecodeError):
        EncapsulationPacket.decode_from(bytes.fromhex(case["octets"]))


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.8", "packet length smaller than the header refused")
@pytest.mark.parametrize(
    ("octets", "why"), [("fd01", "less than"), ("fe000003", "less than"), ("ff00000000000007", "less than")]
)
def test_a_length_smaller_than_the_header(octets: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        EncapsulationPacket.decode_from(bytes.fromhex(octets))


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.3", "encapsulation protocol identifier")
def test_protocol_ids_are_the_published_ones() -> None:
    (case,) = (case for case in CASES if case["kind"] == "protocol_ids")
    assert len(case["values"]) == 8
    assert {str(row.value) for row in ENCAPSULATION_PROTOCOL_IDS} == set(case["values"]) - {"5"}  # 5 is reserved
    assert EncapsulationPacket(encapsulation_protocol_id=5).protocol_name is None
    assert EncapsulationPacket(encapsulation_protocol_id=2).protocol_name == "INTERNET_PROTOCOL_EXTENSION"


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1", "idle packets of one octet and more")
@given(st.one_of(st.integers(1, 300), st.sampled_from([255, 256, 65535, 65536])))
def test_idle_packets_of_any_length(octets: int) -> None:
    packet = EncapsulationPacket.idle(octets)
    assert packet.is_idle and len(packet.encode()) == octets
    assert EncapsulationPacket.decode(packet.encode()) == packet


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.4", "length of length: headers of 1, 2, 4 and 8 octets")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.7", "CCSDS defined field")
@pytest.mark.parametrize(
    ("fields", "octets"),
    [
        ({"encapsulation_protocol_id": 0}, 1),
        ({"encapsulation_protocol_id": 1}, 2),
        ({"encapsulation_protocol_id": 1, "encapsulated_data_field": bytes(253)}, 255),
        ({"encapsulation_protocol_id": 1, "encapsulated_data_field": bytes(254)}, 258),
        ({"encapsulation_protocol_id": 1, "encapsulated_data_field": bytes(65532)}, 65540),
        ({"encapsulation_protocol_id": 1, "user_defined_field": 1}, 4),
        ({"encapsulation_protocol_id": 6}, 4),
        ({"encapsulation_protocol_id": 1, "ccsds_defined_field": 1}, 8),
    ],
)
def test_the_shortest_header_is_chosen(fields: dict[str, Any], octets: int) -> None:
    packet = EncapsulationPacket(**fields)
    assert len(packet) == octets
    assert EncapsulationPacket.decode(packet.encode()) == packet


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.2", "packet version number 7; others refused")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.5", "user defined field")
@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.6", "encapsulation protocol identifier extension")
@pytest.mark.parametrize(
    "fields",
    [
        {"encapsulation_protocol_id": 1, "length_of_length": 0},
        {"encapsulation_protocol_id": 0, "length_of_length": 0, "encapsulated_data_field": b"x"},
        {"encapsulation_protocol_id": 1, "length_of_length": 1, "encapsulated_data_field": bytes(254)},
        {"encapsulation_protocol_id": 1, "length_of_length": 1, "user_defined_field": 1},
        {"encapsulation_protocol_id": 1, "length_of_length": 2, "ccsds_defined_field": 1},
        {"encapsulation_protocol_id": 6, "length_of_length": 1},
        {"encapsulation_protocol_id": 8},
        {"encapsulation_protocol_id": 1, "length_of_length": 4},
        {"encapsulation_protocol_id": 1, "packet_version_number": 6},
    ],
)
def test_packets_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError, match="§"):
        EncapsulationPacket(**fields)


@pytest.mark.conforms("CCSDS 133.1-B-3", "4.1.2.4", "length of length: headers of 1, 2, 4 and 8 octets")
def test_headers_have_the_octets_of_the_standard() -> None:
    assert [header.octets for header in HEADERS] == [1, 2, 4, 8]
