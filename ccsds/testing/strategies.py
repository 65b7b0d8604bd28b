"""Hypothesis strategies for every unit, drawn from the same layouts that encode and decode them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ccsds.coding.cltu_unit import Cltu
from ccsds.frames import aos, aos_data_field, tc, tm, uslp, uslp_data_field
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.aos_data_field import BitstreamProtocolDataUnit, MultiplexingProtocolDataUnit
from ccsds.frames.operational_control_field import CLCW, Clcw, Type2Report
from ccsds.frames.tc import SegmentSequenceFlags, SetVr, TcTransferFrame, Unlock
from ccsds.frames.tm import TmTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import ConstructionRule, UslpTransferFrameDataField
from ccsds.layout import Layout
from ccsds.packets import encapsulation_packet, pus, space_packet, time_codes
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.ip_over_ccsds import InternetProtocolExtension
from ccsds.packets.pus import PacketErrorControl, PusTelecommand, PusTelemetry
from ccsds.packets.space_packet import SequenceFlags, SpacePacket
from ccsds.packets.time_codes import CdsTime, CucTime
from ccsds.packets.time_codes_calendar import AsciiTime, CcsTime

__all__ = [
    "aos_transfer_frames",
    "ascii_times",
    "bitstream_protocol_data_units",
    "ccs_times",
    "cds_times",
    "clcws",
    "cltus",
    "control_commands",
    "cuc_times",
    "encapsulation_packets",
    "field_values",
    "internet_protocol_extensions",
    "multiplexing_protocol_data_units",
    "operational_control_fields",
    "packets",
    "pus_telecommands",
    "pus_telemetry",
    "space_packets",
    "tc_transfer_frames",
    "tm_transfer_frames",
    "type_2_reports",
    "uslp_transfer_frame_data_fields",
    "uslp_transfer_frames",
]


def field_values(layout: Layout, *, without: tuple[str, ...] = (), **fixed: int) -> SearchStrategy[dict[str, int]]:
    """Values for the fields of a layout, each over its whole range.

    Args: without: fields that are computed.  fixed: fields that have one value.
    """
    return st.fixed_dictionaries(
        {
            field.name: st.just(fixed[field.name]) if field.name in fixed else st.integers(0, field.maximum)
            for field in layout
            if field.name not in without
        }
    )


@st.composite
def space_packets(draw: DrawFn, *, maximum_data_octets: int = 64, allow_idle: bool = True) -> SpacePacket:
    """Space packets of version 0 with 1 to `maximum_data_octets` octets of data."""
    values: dict[str, Any] = draw(
        field_values(space_packet.PRIMARY_HEADER, without=("packet_data_length",), packet_version_number=0)
    )
    if values["application_process_id"] == space_packet.IDLE_APPLICATION_PROCESS_ID:
        values["secondary_header_flag"] = 0
        values["application_process_id"] -= not allow_idle
    return SpacePacket(packet_data_field=draw(st.binary(min_size=1, max_size=maximum_data_octets)), **values)


@st.composite
def encapsulation_packets(
    draw: DrawFn, *, maximum_data_octets: int = 64, allow_idle: bool = True
) -> EncapsulationPacket:
    """Encapsulation packets with headers of 1, 2, 4 and 8 octets."""
    choice = draw(st.integers(0 if allow_idle else 1, 3))
    header = encapsulation_packet.HEADERS[choice]
    values: dict[str, Any] = draw(
        field_values(
            header,
            without=("packet_length",),
            packet_version_number=encapsulation_packet.PACKET_VERSION_NUMBER,
            length_of_length=choice,
        )
    )
    protocols = [
        value
        for value in range(header["encapsulation_protocol_id"].maximum + 1)
        if (choice or value == encapsulation_packet.IDLE_PROTOCOL_ID)
        and (choice > 1 or value != encapsulation_packet.EXTENSION_PROTOCOL_ID)
        and (allow_idle or value != encapsulation_packet.IDLE_PROTOCOL_ID)
    ]
    values["encapsulation_protocol_id"] = draw(st.sampled_from(protocols))
    most = min(maximum_data_octets, header["packet_length"].maximum - header.octets) if choice else 0
    return EncapsulationPacket(encapsulated_data_field=draw(st.binary(max_size=most)), **values)


def packets(
    *, maximum_data_octets: int = 64, allow_idle: bool = True
) -> SearchStrategy[SpacePacket | EncapsulationPacket]:
    """Packets of either kind."""
    sizes: dict[str, Any] = {"maximum_data_octets": maximum_data_octets, "allow_idle": allow_idle}
    return st.one_of(space_packets(**sizes), encapsulation_packets(**sizes))


def clcws() -> SearchStrategy[Clcw]:
    """Communications Link Control Words."""
    return field_values(CLCW, without=("control_word_type",), clcw_version_number=0).map(lambda values: Clcw(**values))


def type_2_reports() -> SearchStrategy[Type2Report]:
    """Reports of type 2."""
    return st.binary(min_size=4, max_size=4).map(
        lambda octets: Type2Report(report=bytes([octets[0] | 0x80]) + octets[1:])
    )


def operational_control_fields() -> SearchStrategy[bytes]:
    """The four octets of either kind of report."""
    return st.one_of(clcws(), type_2_reports()).map(lambda unit: unit.encode())


@st.composite
def tm_transfer_frames(draw: DrawFn, *, maximum_data_octets: int = 64) -> TmTransferFrame:
    """TM transfer frames with and without secondary header, control field and error control."""
    values: dict[str, Any] = draw(
        field_values(
            tm.PRIMARY_HEADER,
            without=("operational_control_field_flag", "secondary_header_flag"),
            transfer_frame_version_number=0,
        )
    )
    data = draw(st.binary(min_size=1, max_size=maximum_data_octets))
    if not values["synchronization_flag"]:
        values |= {"packet_order_flag": 0, "segment_length_id": 3}
        values["first_header_pointer"] = draw(
            st.one_of(st.integers(0, len(data) - 1), st.sampled_from([tm.NO_PACKET_START, tm.ONLY_IDLE_DATA]))
        )
    length = tm.SECONDARY_HEADER["secondary_header_length"].maximum
    secondary = draw(st.none() | st.binary(min_size=1, max_size=length))
    if secondary is not None:
        version = tm.SECONDARY_HEADER["secondary_header_version_number"].maximum
        values["secondary_header_version_number"] = draw(st.integers(0, version))
    return TmTransferFrame(
        transfer_frame_data_field=data,
        secondary_header_data_field=secondary,
        operational_control_field=draw(st.none() | operational_control_fields()),
        frame_error_control_present=draw(st.booleans()),
        **values,
    )


@st.composite
def aos_transfer_frames(draw: DrawFn, *, maximum_data_octets: int = 64, issue: int | None = None) -> AosTransferFrame:
    """AOS transfer frames with and without each optional part; `issue` None: of any issue of 732.0-B."""
    chosen = draw(st.integers(1, 5)) if issue is None else issue
    early = chosen < 5
    values: dict[str, Any] = draw(
        field_values(
            aos.PRIMARY_HEADER_ISSUE_4 if early else aos.PRIMARY_HEADER,
            transfer_frame_version_number=aos.VERSION_NUMBER,
        )
    )
    if not early:
        upper, lower = values.pop("spacecraft_id_most_significant"), values.pop("spacecraft_id_least_significant")
        values["spacecraft_id"] = upper << 8 | lower
    return AosTransferFrame(
        transfer_frame_data_field=draw(st.binary(min_size=1, max_size=maximum_data_octets)),
        insert_zone=draw(st.binary(max_size=8)),
        operational_control_field=draw(st.none() | operational_control_fields()),
        frame_header_error_control_present=draw(st.booleans()),
        frame_error_control_present=draw(st.booleans()),
        issue=chosen,
        **values,
    )


@st.composite
def multiplexing_protocol_data_units(draw: DrawFn, *, maximum_zone_octets: int = 64) -> MultiplexingProtocolDataUnit:
    """M_PDUs with random octets as their zone."""
    zone = draw(st.binary(min_size=1, max_size=maximum_zone_octets))
    issue = draw(st.integers(1, 5))
    layout = aos_data_field.M_PDU_HEADER if issue > 4 else aos_data_field.M_PDU_HEADER_ISSUE_4
    values = draw(field_values(layout, without=("first_header_pointer",)))
    most = layout["first_header_pointer"].maximum
    pointer = draw(st.integers(0, len(zone) - 1) | st.sampled_from([most, most - 1]))
    return MultiplexingProtocolDataUnit(first_header_pointer=pointer, packet_zone=zone, issue=issue, **values)


@st.composite
def bitstream_protocol_data_units(draw: DrawFn, *, maximum_zone_octets: int = 64) -> BitstreamProtocolDataUnit:
    """B_PDUs with random octets as their zone."""
    zone = draw(st.binary(min_size=1, max_size=maximum_zone_octets))
    special = [aos_data_field.NO_IDLE_DATA, aos_data_field.ONLY_IDLE_BITS]
    pointer = draw(st.integers(0, 8 * len(zone) - 1) | st.sampled_from(special))
    spare = draw(st.integers(0, aos_data_field.B_PDU_HEADER["reserved_spare"].maximum))
    return BitstreamProtocolDataUnit(bitstream_data_pointer=pointer, bitstream_data_zone=zone, reserved_spare=spare)


def control_commands() -> SearchStrategy[Unlock | SetVr]:
    """Unlock, and Set V(R) to any number."""
    numbers = st.integers(0, tc.SET_V_R["receiver_frame_sequence_number"].maximum)
    return st.builds(Unlock) | st.builds(SetVr, receiver_frame_sequence_number=numbers)


@st.composite
def tc_transfer_frames(draw: DrawFn, *, maximum_data_octets: int = 64) -> TcTransferFrame:
    """TC transfer frames of types AD, BD and BC, with and without segment header and error control."""
    values: dict[str, Any] = draw(
        field_values(tc.PRIMARY_HEADER, without=("frame_length",), transfer_frame_version_number=0)
    )
    if values["control_command_flag"]:
        values |= {"bypass_flag": 1, "transfer_frame_data_unit": draw(control_commands()).encode()}
    else:
        has_segment = draw(st.booleans())
        least = int(not has_segment)
        values["transfer_frame_data_unit"] = draw(st.binary(min_size=least, max_size=maximum_data_octets))
        if has_segment:
            values |= draw(field_values(tc.SEGMENT_HEADER))
            values["sequence_flags"] = SegmentSequenceFlags(values["sequence_flags"])
    return TcTransferFrame(frame_error_control_present=draw(st.booleans()), **values)


def cltus(*, maximum_codeblocks: int = 6) -> SearchStrategy[Cltu]:
    """CLTUs with BCH, randomized or not, of a whole number of codeblocks."""
    sizes = st.integers(1, maximum_codeblocks)
    information = sizes.flatmap(lambda blocks: st.binary(min_size=7 * blocks, max_size=7 * blocks))
    return st.builds(Cltu, information=information, randomized=st.booleans())


@st.composite
def uslp_transfer_frame_data_fields(
    draw: DrawFn, *, maximum_zone_octets: int = 64, with_pointer: bool = True
) -> UslpTransferFrameDataField:
    """Data fields of every construction rule; `with_pointer` False: without those for frames of fixed length."""
    values: dict[str, Any] = draw(field_values(uslp_data_field.DATA_FIELD_HEADER))
    zone = draw(st.binary(min_size=1, max_size=maximum_zone_octets))
    rule = ConstructionRule(values["construction_rule"] if with_pointer else values["construction_rule"] % 5 + 3)
    pointer = None
    if rule <= ConstructionRule.CONTINUING_ACCESS_UNIT:
        pointer = draw(st.integers(0, len(zone) - 1) | st.just(uslp_data_field.POINTER_ALL_ONES))
    return UslpTransferFrameDataField(
        **values | {"construction_rule": rule},
        transfer_frame_data_zone=zone,
        first_header_or_last_valid_octet_pointer=pointer,
    )


@st.composite
def uslp_transfer_frames(draw: DrawFn, *, maximum_zone_octets: int = 64) -> UslpTransferFrame:
    """USLP transfer frames, whole and truncated, with and without each optional part."""
    version: dict[str, Any] = {"transfer_frame_version_number": uslp.VERSION_NUMBER}
    if draw(st.booleans()):
        truncated: dict[str, Any] = draw(
            field_values(uslp.TRUNCATED_PRIMARY_HEADER, **version, end_of_frame_primary_header_flag=1)
        )
        field = draw(uslp_transfer_frame_data_fields(maximum_zone_octets=maximum_zone_octets, with_pointer=False))
        return UslpTransferFrame(transfer_frame_data_field=field.encode(), **truncated)
    octets = draw(st.integers(0, len(uslp.PRIMARY_HEADERS) - 1))
    values: dict[str, Any] = draw(
        field_values(
            uslp.PRIMARY_HEADERS[octets],
            without=("frame_length", "operational_control_field_flag"),
            **version,
            end_of_frame_primary_header_flag=0,
            virtual_channel_frame_count_length=octets,
        )
    )
    field = draw(uslp_transfer_frame_data_fields(maximum_zone_octets=maximum_zone_octets))
    return UslpTransferFrame(
        transfer_frame_data_field=field.encode(),
        insert_zone=draw(st.binary(max_size=8)) if field.is_of_fixed_length else b"",
        operational_control_field=draw(st.none() | operational_control_fields()),
        frame_error_control_present=draw(st.booleans()),
        frame_error_control_octets=draw(st.sampled_from([2, 4])),
        **values,
    )


@st.composite
def cuc_times(draw: DrawFn) -> CucTime:
    """CUC times of 1 to 7 coarse and 0 to 10 fine octets, with P-fields of one octet and of two, and without."""
    first = draw(field_values(time_codes.CUC_P_FIELD, time_code_id=draw(st.sampled_from([1, 2]))))
    rest = dict.fromkeys(("additional_coarse_octets", "additional_fine_octets", "mission_defined_bits"), 0)
    if first["extension_flag"]:
        rest = draw(field_values(time_codes.CUC_P_FIELD_EXTENSION, without=("extension_flag",)))
    coarse_octets = first["basic_coarse_octets_minus_1"] + 1 + rest["additional_coarse_octets"]
    fine_octets = first["basic_fine_octets"] + rest["additional_fine_octets"]
    values: dict[str, Any] = draw(field_values(time_codes.cuc_t_field(coarse_octets, fine_octets)))
    return CucTime(
        coarse_octets=coarse_octets,
        fine_octets=fine_octets,
        time_code_id=first["time_code_id"],
        extension_flag=first["extension_flag"],
        p_field_present=draw(st.booleans()),
        **values,
        **rest,
    )


@st.composite
def cds_times(draw: DrawFn) -> CdsTime:
    """CDS times of every shape, leap seconds included."""
    day_octets, size = draw(st.sampled_from([2, 3])), draw(st.sampled_from([0, 2, 4]))
    most = {0: 0, 2: 999, 4: 999_999_999}[size]
    values: dict[str, Any] = draw(
        field_values(
            time_codes.cds_t_field(day_octets, size),
            without=("submilliseconds",),
            milliseconds=draw(st.integers(0, 86_400_999)),
        )
    )
    return CdsTime(
        day_octets=day_octets,
        submilliseconds=draw(st.integers(0, most)),
        submillisecond_octets=size,
        agency_epoch_flag=draw(st.integers(0, 1)),
        p_field_present=draw(st.booleans()),
        **values,
    )


@st.composite
def _calendar_fields(draw: DrawFn) -> dict[str, Any]:
    date = draw(st.dates())
    by_day = draw(st.booleans())
    seconds = draw(st.integers(0, 86400))  # the last one is a leap second
    minutes, second = divmod(min(seconds, 86399), 60)
    fields = {"year": date.year, "hour": minutes // 60, "minute": minutes % 60, "second": second + seconds // 86400}
    if by_day:
        return fields | {"day_of_year": date.timetuple().tm_yday}
    return fields | {"month": date.month, "day_of_month": date.day}


@st.composite
def ccs_times(draw: DrawFn) -> CcsTime:
    """CCS times of both calendars, with 0 to 6 octets of subseconds."""
    size = draw(st.integers(0, 6))
    subseconds = draw(st.integers(0, 100**size - 1))
    present = draw(st.booleans())
    fields = draw(_calendar_fields())
    return CcsTime(subseconds=subseconds, subsecond_octets=size, p_field_present=present, **fields)


@st.composite
def ascii_times(draw: DrawFn, *, maximum_fraction_digits: int = 20) -> AsciiTime:
    """ASCII times of codes A and B, with and without fraction and terminator."""
    digits = draw(st.integers(0, maximum_fraction_digits))
    fraction = draw(st.integers(0, 10**digits - 1))
    present = draw(st.booleans())
    fields = draw(_calendar_fields())
    return AsciiTime(fraction=fraction, fraction_digits=digits, terminator_present=present, **fields)


@st.composite
def _pus_fields(draw: DrawFn, header: Layout) -> dict[str, Any]:
    values: dict[str, Any] = draw(field_values(header, without=("pus_version_number",)))
    primary = space_packet.PRIMARY_HEADER
    return values | {
        "application_process_id": draw(st.integers(0, space_packet.IDLE_APPLICATION_PROCESS_ID - 1)),
        "packet_sequence_count": draw(st.integers(0, primary["packet_sequence_count"].maximum)),
        "sequence_flags": draw(st.sampled_from(SequenceFlags)),
        "spare": draw(st.binary(max_size=3)),
        "packet_error_control": draw(st.sampled_from(PacketErrorControl)),
    }


@st.composite
def pus_telecommands(draw: DrawFn, *, maximum_data_octets: int = 64) -> PusTelecommand:
    """PUS-C telecommand packets with each kind of packet error control."""
    data = draw(st.binary(max_size=maximum_data_octets))
    return PusTelecommand(application_data=data, **draw(_pus_fields(pus.TELECOMMAND_SECONDARY_HEADER)))


@st.composite
def pus_telemetry(draw: DrawFn, *, maximum_data_octets: int = 64) -> PusTelemetry:
    """PUS-C telemetry packets with times of 0 to 8 octets."""
    data, time = draw(st.binary(max_size=maximum_data_octets)), draw(st.binary(max_size=8))
    return PusTelemetry(source_data=data, time=time, **draw(_pus_fields(pus.TELEMETRY_SECONDARY_HEADER)))


@st.composite
def internet_protocol_extensions(draw: DrawFn, *, maximum_data_octets: int = 64) -> InternetProtocolExtension:
    """Units with headers of one octet and more."""
    header = bytes(octet & 0xFE for octet in draw(st.binary(max_size=3))) + bytes([draw(st.integers(0, 127)) << 1 | 1])
    data = draw(st.binary(min_size=1, max_size=maximum_data_octets))
    return InternetProtocolExtension(extension_header=header, protocol_data_unit=data)
