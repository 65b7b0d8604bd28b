"""IP over CCSDS: published packets, an AOS frame that carries one, datagrams of scapy, headers of any length."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccsds.errors import EncodeError, FieldError, TruncatedError
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import MultiplexingProtocolDataUnit
from ccsds.packets.encapsulation_packet import HEADERS, EncapsulationPacket
from ccsds.packets.ip_over_ccsds import INTERNET_PROTOCOL_EXTENSIONS, InternetProtocolExtension
from ccsds.testing import load_vectors

CASES = load_vectors("702.1-B-1/ip_over_ccsds.toml")


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["kind"] == kind]


@pytest.mark.conforms("CCSDS 702.1-B-1", "2", "values of the internet protocol extension")
def test_values_are_the_published_ones() -> None:
    assert [row.value for row in INTERNET_PROTOCOL_EXTENSIONS] == [case["value"] for case in of_kind("value")]
    for case in of_kind("value"):
        unit = InternetProtocolExtension.decode(bytes.fromhex(case["hex"]) + b"x")
        assert unit.protocol_name == INTERNET_PROTOCOL_EXTENSIONS.name_of(case["value"])
    assert InternetProtocolExtension.decode(b"\x01x").protocol_name is None
    assert InternetProtocolExtension.decode(b"\x20\x21x").protocol_name is None


@pytest.mark.conforms("CCSDS 702.1-B-1", "2", "IP datagrams in encapsulation packets")
def test_published_packets() -> None:
    (case,) = of_kind("packet")
    octets = bytes.fromhex(case["octets"])
    unit = InternetProtocolExtension.from_packet(EncapsulationPacket.decode(octets))
    assert unit.protocol_name == "IPV4_DATAGRAM"
    assert unit == InternetProtocolExtension.of_datagram(unit.protocol_data_unit)
    assert unit.to_packet().encode() == octets
    assert len(of_kind("header")) == 2
    for case in of_kind("header"):
        length = HEADERS[bytes.fromhex(case["octets"])[0] & 3].unpack(bytes.fromhex(case["octets"]))["packet_length"]
        packet = EncapsulationPacket.decode(bytes.fromhex(case["octets"]).ljust(length, b"!"))
        assert packet.protocol_name == "INTERNET_PROTOCOL_EXTENSION"
        assert InternetProtocolExtension.from_packet(packet).protocol_data_unit


@pytest.mark.conforms("CCSDS 702.1-B-1", "2", "IP datagrams in AOS frames, by encapsulation packets")
def test_a_published_frame_carries_an_ipv4_datagram() -> None:
    (case,) = of_kind("frame")
    (frame_case,) = (
        found
        for found in load_vectors("732.0-B-5/aos_transfer_frame.toml")
        if found["kind"] == "frame" and found["id"] == "yamcs-01"
    )
    frame = AosTransferFrame.decode(bytes.fromhex(frame_case["octets"]), **frame_case["managed"])
    zone = MultiplexingProtocolDataUnit.decode(frame.transfer_frame_data_field)
    assert zone.first_header_pointer == case["mpdu_fhp"]
    start = bytes.fromhex(case["encap_header"] + case["ipe"] + case["ip_header"])
    assert zone.packet_zone.startswith(start)
    header = HEADERS[start[0] & 3]
    assert header.unpack(start)["packet_length"] == case["encap_fields"]["length"]
    unit = InternetProtocolExtension.decode(zone.packet_zone[header.octets :])  # as much as there is of it
    assert unit.extension_header.hex() == case["ipe"]
    assert unit.protocol_data_unit.hex().startswith(case["ip_header"])
    assert int.from_bytes(unit.protocol_data_unit[2:4], "big") == case["ip_total_length"]


@pytest.fixture(scope="module")
def internet_layers() -> tuple[Any, Any]:
    inet = pytest.importorskip("scapy.layers.inet", reason="scapy is not installed")
    return inet, pytest.importorskip("scapy.layers.inet6", reason="scapy is not installed")


@pytest.mark.conforms("CCSDS 702.1-B-1", "2", "IPv4 and IPv6 datagrams")
@given(data=st.binary(max_size=40), is_old=st.booleans())
def test_the_other_implementation_reads_the_datagram(
    internet_layers: tuple[Any, Any], data: bytes, is_old: bool
) -> None:
    inet, inet6 = internet_layers
    layer = inet.IP(src="10.40.0.1", dst="10.40.0.2") if is_old else inet6.IPv6(src="fe80::1", dst="fe80::2")
    datagram = bytes(layer / inet.UDP(sport=1, dport=2) / data)
    packet = InternetProtocolExtension.of_datagram(datagram).to_packet()
    received = InternetProtocolExtension.from_packet(EncapsulationPacket.decode(packet.encode()))
    assert received.protocol_name == ("IPV4_DATAGRAM" if is_old else "IPV6_DATAGRAM")
    theirs = type(layer)(received.protocol_data_unit)
    assert bytes(theirs) == datagram and bytes(theirs[inet.UDP].payload) == data


@pytest.mark.conforms("CCSDS 702.1-B-1", "2.4", "internet protocol extension header of one octet and more")
@given(st.lists(st.integers(0, 127), min_size=1, max_size=5), st.binary(min_size=1, max_size=8))
def test_headers_of_any_length(values: list[int], data: bytes) -> None:
    header = bytes(value << 1 | (at == len(values)) for at, value in enumerate(values, 1))
    unit = InternetProtocolExtension.decode(header + data)
    assert (unit.extension_header, unit.protocol_data_unit) == (header, data)


@pytest.mark.conforms("CCSDS 702.1-B-1", "2.4", "extension headers that are none refused")
def test_what_cannot_be() -> None:
    for header in (b"", b"\x20", b"\x21\x21", b"\x21\x20"):
        with pytest.raises(EncodeError, match="only odd octet at its end"):
            InternetProtocolExtension(extension_header=header, protocol_data_unit=b"x")
    with pytest.raises(EncodeError, match="no protocol data unit"):
        InternetProtocolExtension(extension_header=b"!", protocol_data_unit=b"")
    for octets in (b"", b"\x20", b"\x21"):
        with pytest.raises(TruncatedError, match="header"):
            InternetProtocolExtension.decode(octets)
    for datagram in (b"", b"\x50"):
        with pytest.raises(EncodeError, match="not 4 or 6"):
            InternetProtocolExtension.of_datagram(datagram)
    with pytest.raises(FieldError, match="id 3 is not 2"):
        InternetProtocolExtension.from_packet(
            EncapsulationPacket(encapsulation_protocol_id=3, encapsulated_data_field=b"!x")
        )
