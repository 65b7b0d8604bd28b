"""Space packets: published octets, the other implementation, limits."""

from __future__ import annotations

from typing import Any

import pytest
import spacepackets
from hypothesis import given

from ccsds.errors import EncodeError, FieldError, TruncatedError
from ccsds.packets.space_packet import PRIMARY_HEADER, SpacePacket
from ccsds.testing import load_vectors
from ccsds.testing.strategies import space_packets

CASES = load_vectors("133.0-B-2/space_packet.toml")
PACKETS = [case for case in CASES if case["kind"] == "packet"]


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3", "primary header, from published octets")
@pytest.mark.parametrize("case", PACKETS, ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    if not case.get("complete", True):
        with pytest.raises(TruncatedError):
            SpacePacket.decode(octets)
        octets += bytes(PRIMARY_HEADER.octets + case["fields"]["packet_data_length"] + 1 - len(octets))
    packet = SpacePacket.decode(octets)
    assert {name: getattr(packet, name) for name in case["fields"]} == case["fields"]
    assert len(packet) == case.get("total_octets", len(octets))
    assert packet.encode() == octets


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.3.4", "application process identifier")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.5", "packets of 7 to 65542 octets")
def test_limits() -> None:
    (limits,) = (case for case in CASES if case["kind"] == "limits")
    most = SpacePacket(application_process_id=limits["apid_max"], packet_data_field=bytes(65536))
    assert len(most.encode()) == limits["max_octets"]
    assert len(SpacePacket.idle(limits["min_octets"]).encode()) == limits["min_octets"]
    with pytest.raises(EncodeError):
        most.replace(packet_data_field=bytes(65537))
    with pytest.raises(EncodeError):
        most.replace(packet_data_field=b"")
    with pytest.raises(EncodeError, match="packet_sequence_count"):
        most.replace(packet_sequence_count=limits["seq_modulo"])


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.3.2", "packet type")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.3.3", "secondary header flag")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.3.4", "application process identifier")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.4.2", "sequence flags")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.4.3", "packet sequence count or packet name")
@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.5", "packet data length")
@given(space_packets())
def test_the_other_implementation_reads_the_same(packet: SpacePacket) -> None:
    header = spacepackets.SpacePacketHeader.unpack(packet.encode())
    assert (
        header.apid,
        header.seq_count,
        int(header.seq_flags),
        int(header.packet_type),
        header.sec_header_flag,
        header.data_len,
        header.ccsds_version,
    ) == (
        packet.application_process_id,
        packet.packet_sequence_count,
        packet.sequence_flags,
        packet.packet_type,
        bool(packet.secondary_header_flag),
        packet.packet_data_length,
        packet.packet_version_number,
    )
    assert bytes(header.pack()) == packet.encode()[:6]


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1", "idle packets of 7 octets and more, with any fill")
@pytest.mark.parametrize("octets", [7, 8, 9, 1000, 65542])
def test_idle_packets_of_any_length(octets: int) -> None:
    packet = SpacePacket.idle(octets, fill=b"\x12\x34\x56", packet_sequence_count=9)
    assert packet.is_idle
    assert len(packet.encode()) == octets
    assert packet.packet_data_field[:4] == b"\x12\x34\x56\x12"[: octets - 6]
    assert SpacePacket.decode(packet.encode()) == packet


@pytest.mark.parametrize("octets", [-1, 0, 6, 65543])
def test_idle_packets_that_cannot_be(octets: int) -> None:
    with pytest.raises(EncodeError, match="7 to 65542"):
        SpacePacket.idle(octets)


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1", "no secondary header in an idle packet made here")
def test_an_idle_packet_with_secondary_header_decodes_but_is_not_made() -> None:
    octets = bytes.fromhex("0fffc0000001cafe")  # one spacecraft sends these
    packet = SpacePacket.decode(octets)
    assert packet.is_idle and packet.secondary_header_flag == 1
    assert packet.encode() == octets
    with pytest.raises(EncodeError, match="idle packet has no secondary header"):
        packet.replace()


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3", "fields out of range refused")
def test_what_does_not_fit_names_field_and_clause() -> None:
    with pytest.raises(EncodeError, match=r"application_process_id is 2048.*4\.1\.3\.3\.4"):
        SpacePacket(application_process_id=2048, packet_data_field=b"x")
    with pytest.raises(EncodeError, match="must be bytes"):
        SpacePacket(application_process_id=1, packet_data_field=bytearray(b"x"))  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="packet_sequence_count is 'two'"):
        SpacePacket(application_process_id=1, packet_data_field=b"x", packet_sequence_count="two")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="it has application_process_id"):
        SpacePacket(application_process_identifier=1, packet_data_field=b"x")  # type: ignore[call-arg]


@pytest.mark.conforms("CCSDS 133.0-B-2", "4.1.3.2", "packet version number 0; others refused")
@pytest.mark.parametrize(
    ("octets", "error", "offset"),
    [
        ("", TruncatedError, 0),
        ("0000c00000", TruncatedError, 5),
        ("2000c0000000", FieldError, 0),
        ("0000c000000001ff", FieldError, 7),
    ],
)
def test_errors_tell_where(octets: str, error: type[FieldError], offset: int) -> None:
    with pytest.raises(error) as caught:
        SpacePacket.decode(bytes.fromhex(octets))
    assert caught.value.octet_offset == offset
