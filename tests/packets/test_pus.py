"""PUS-C packets: published octets, the other implementation, both checksums, what must be refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacepackets.ecss.tc import PusTc
from spacepackets.ecss.tm import MiscParams, PusTm

from ccsds.errors import EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.packets.pus import (
    TELECOMMAND_SECONDARY_HEADER,
    Acknowledgement,
    PacketErrorControl,
    PusTelecommand,
    PusTelemetry,
    iso_checksum,
)
from ccsds.packets.space_packet import PacketType, SpacePacket
from ccsds.packets.time_codes import decode_time_code
from ccsds.testing import load_vectors
from ccsds.testing.strategies import pus_telecommands, pus_telemetry

CASES = load_vectors("ECSS-E-ST-70-41C/pus.toml")
COMMAND: dict[str, Any] = {"application_process_id": 2, "service_type_id": 17, "message_subtype_id": 1}


@pytest.mark.conforms(
    "ECSS-E-ST-70-41C", "7.4.4.1", "telecommand secondary header: service type, message subtype, source identifier"
)
@pytest.mark.conforms(
    "ECSS-E-ST-70-41C",
    "7.4.3.1",
    "telemetry secondary header: time reference status, service type, message subtype, counter, destination",
)
@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4.3.1", "time field in a CCSDS time code")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published_octets(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["octets"])
    if case["kind"] == "telecommand_secondary_header":
        values = TELECOMMAND_SECONDARY_HEADER.unpack(octets)
        assert values == case["fields"] | {"pus_version_number": 2}
        assert TELECOMMAND_SECONDARY_HEADER.pack(values) == octets
        return
    cls: Any = PusTelecommand if case["kind"] == "telecommand" else PusTelemetry
    managed = {"time_octets": 7} if cls is PusTelemetry else {}
    if case["pus_version_number"] != 2:
        with pytest.raises((FieldError, TruncatedError)):
            cls.decode(octets, **managed)
        return
    packet = cls.decode(octets, **managed)
    assert {name: getattr(packet, name) for name in case["fields"]} == case["fields"]
    assert packet.encode() == octets and packet.space_packet == SpacePacket.decode(octets)
    if "time" in case:
        assert packet.time.hex() == case["time"]
        assert decode_time_code(packet.time)[1] == b""


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4.4.1", "PUS version number 2; others refused")
def test_pus_a_is_told_apart() -> None:
    (case,) = (case for case in CASES if case["id"] == "ping-a")
    octets = bytearray.fromhex(case["octets"] + "0000")
    octets[5] += 2
    with pytest.raises(FieldError, match="PUS version number 1 is not 2") as caught:
        PusTelecommand.decode(octets, packet_error_control=PacketErrorControl.NONE)
    assert caught.value.octet_offset == 6 and caught.value.clause == "ECSS-E-ST-70-41C §7.4.4.1"


@pytest.mark.conforms(
    "ECSS-E-ST-70-41C", "7.4.4.1", "telecommand secondary header: service type, message subtype, source identifier"
)
@pytest.mark.conforms("ECSS-E-ST-70-41C", "annex B", "cyclic redundancy code")
@given(pus_telecommands().filter(lambda packet: not packet.spare))
def test_the_other_implementation_makes_the_same_telecommand(packet: PusTelecommand) -> None:
    ours = packet.replace(packet_error_control=PacketErrorControl.CRC, sequence_flags=3)
    theirs = PusTc(
        service=packet.service_type_id,
        message_subtype=packet.message_subtype_id,
        apid=packet.application_process_id,
        app_data=packet.application_data,
        seq_count=packet.packet_sequence_count,
        source_id=packet.source_id,
        ack_flags=packet.acknowledgement_flags,
    )
    assert bytes(theirs.pack()) == ours.encode()
    read = PusTc.unpack(ours.encode())
    assert (read.service, read.message_subtype, read.source_id, read.app_data) == (
        ours.service_type_id,
        ours.message_subtype_id,
        ours.source_id,
        ours.application_data,
    )


@pytest.mark.conforms(
    "ECSS-E-ST-70-41C",
    "7.4.3.1",
    "telemetry secondary header: time reference status, service type, message subtype, counter, destination",
)
@given(pus_telemetry().filter(lambda packet: not packet.spare))
def test_the_other_implementation_makes_the_same_telemetry(packet: PusTelemetry) -> None:
    ours = packet.replace(packet_error_control=PacketErrorControl.CRC, sequence_flags=3)
    theirs = PusTm(
        service=packet.service_type_id,
        message_subtype=packet.message_subtype_id,
        timestamp=packet.time,
        source_data=packet.source_data,
        apid=packet.application_process_id,
        seq_count=packet.packet_sequence_count,
        message_counter=packet.message_type_counter,
        destination_id=packet.destination_id,
        misc_params=MiscParams(spacecraft_time_ref=packet.spacecraft_time_reference_status),
    )
    assert bytes(theirs.pack()) == ours.encode()


def slow_checksum(octets: bytes) -> int:
    """The two sums octet by octet, as annex B.2 runs them."""
    first = second = 255
    for octet in octets:
        first = (first + octet) % 255
        second = (second + first) % 255
    check = 255 - (first + second) % 255
    return (check or 255) << 8 | (second or 255)


@pytest.mark.conforms("ECSS-E-ST-70-41C", "annex B", "ISO checksum")
@pytest.mark.parametrize("case", load_vectors("ECSS-E-ST-70-41C/iso_checksum.toml"), ids=lambda case: case["id"])
def test_published_checksums(case: dict[str, Any]) -> None:
    assert f"{iso_checksum(bytes.fromhex(case['message'])):04x}" == case["checksum"]


@pytest.mark.conforms("ECSS-E-ST-70-41C", "annex B", "ISO checksum")
@given(st.binary(max_size=300))
def test_the_checksum_is_the_slow_one(octets: bytes) -> None:
    assert iso_checksum(octets) == slow_checksum(octets)
    assert 0 not in iso_checksum(octets).to_bytes(2, "big")


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4", "packet error control field, as an option")
@given(st.one_of(pus_telecommands(), pus_telemetry()), st.data())
def test_damage_under_error_control_is_refused_or_kept(packet: Any, data: st.DataObject) -> None:
    packet = packet.replace(packet_error_control=data.draw(st.sampled_from(PacketErrorControl)))
    octets = bytearray(packet.encode())
    at = data.draw(st.integers(6, len(octets) - 1))
    octets[at] ^= 0x10
    managed = packet.managed_parameters
    if packet.packet_error_control == PacketErrorControl.NONE:
        assert packet.packet_error_control_field is None and packet.is_intact
        return
    with pytest.raises(IntegrityError, match="expected") as caught:
        type(packet).decode(octets, **managed)
    assert caught.value.octet_offset == len(octets) - 2
    if at > 6:
        kept = type(packet).decode(octets, **managed, check=False)
        assert not kept.is_intact and packet.is_intact
        assert kept.encode() == octets


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4", "packet type and secondary header flag")
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"packet_type": PacketType.TELEMETRY}, "packet type 0 is not 1"),
        ({"secondary_header_flag": 0}, "no secondary header"),
        ({"packet_data_field": b"\x1f\x11\x01\0\0"}, "version number 1"),
    ],
)
def test_space_packets_that_are_no_telecommand(changes: dict[str, Any], match: str) -> None:
    packet = PusTelecommand(**COMMAND, packet_error_control=PacketErrorControl.NONE).space_packet
    octets = packet.replace(**changes).encode()
    with pytest.raises(FieldError, match=match):
        PusTelecommand.decode(octets, packet_error_control=PacketErrorControl.NONE)


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4", "spare field and time of managed length")
def test_no_room_for_the_headers() -> None:
    packet = PusTelecommand(**COMMAND)
    with pytest.raises(TruncatedError, match="octets of headers"):
        PusTelecommand.decode(packet.encode(), spare_octets=1)
    with pytest.raises(TruncatedError, match="octets of headers"):
        PusTelemetry.decode(PusTelemetry(**COMMAND, time=b"123").encode(), time_octets=4)
    assert PusTelemetry.decode(PusTelemetry(**COMMAND, time=b"").encode(), time_octets=0).time == b""


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4.4.1", "acknowledgement flags")
def test_acknowledgements_have_names() -> None:
    wanted = Acknowledgement.ACCEPTANCE | Acknowledgement.COMPLETION
    packet = PusTelecommand(**COMMAND, acknowledgement_flags=wanted)
    assert packet.encode()[6] == 0x29
    assert Acknowledgement(PusTelecommand.decode(packet.encode()).acknowledgement_flags) == wanted


@pytest.mark.conforms("ECSS-E-ST-70-41C", "7.4", "fields out of range refused")
@pytest.mark.parametrize(
    "fields",
    [
        {"application_process_id": 2047},
        {"application_process_id": 2048},
        {"service_type_id": 256},
        {"acknowledgement_flags": 16},
        {"source_id": 65536},
        {"packet_sequence_count": 16384},
        {"application_data": bytes(65530)},
        {"application_data": "text"},
        {"packet_error_control": 3},
        {"received_packet_error_control_field": 65536},
        {"received_packet_error_control_field": 1, "packet_error_control": PacketErrorControl.NONE},
    ],
)
def test_packets_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(EncodeError):
        PusTelecommand(**COMMAND | fields)


def test_managed_parameters_that_cannot_be() -> None:
    octets = PusTelecommand(**COMMAND).encode()
    for wrong in ({"spare_octets": -1}, {"packet_error_control": 3}):
        with pytest.raises(ValueError, match="octets are 0 or more"):
            PusTelecommand.decode(octets, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time_octets is -1"):
        PusTelemetry.decode(octets, time_octets=-1)
