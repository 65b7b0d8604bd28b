"""USLP: master channels and virtual channels that give frames.  Source: CCSDS 732.1-B-3, section 4.2."""

from __future__ import annotations

from typing import Any

from ccsds.errors import ConfigurationError, EncodeError
from ccsds.frames.error_control import CRC_16, CRC_32, append_frame_error_control
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.tc import SegmentSequenceFlags
from ccsds.frames.uslp import (
    ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID,
    PRIMARY_HEADERS,
    TRUNCATED_PRIMARY_HEADER,
    VERSION_NUMBER,
    UslpTransferFrame,
)
from ccsds.frames.uslp_data_field import (
    DATA_FIELD_HEADER,
    DATA_FIELD_HEADER_WITH_POINTER,
    POINTER_ALL_ONES,
    ConstructionRule,
    UslpTransferFrameDataField,
)
from ccsds.link.managed_parameters import MasterChannel, VirtualChannel
from ccsds.link.sending.channel import ChannelNode, Link, MasterNode, SentFrame
from ccsds.link.sending.map_channel import MapChannel, Service
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.segments import Segments
from ccsds.link.sending.source import Source
from ccsds.link.sending.tm import require_identity
from ccsds.link.sending.units import AccessZones, FixedUnits, OctetStream
from ccsds.procedures.cop1 import FrameType

__all__ = ["UslpChannel", "UslpMaster"]

COP_1_PROTOCOL_ID = 1
_PROTOCOL_IDS = {"packets": 0, "access": 5, "octet_stream": 4}
_RULES = {
    SegmentSequenceFlags.FIRST: ConstructionRule.STARTING_SEGMENT,
    SegmentSequenceFlags.CONTINUING: ConstructionRule.CONTINUING_SEGMENT,
    SegmentSequenceFlags.LAST: ConstructionRule.LAST_SEGMENT,
    SegmentSequenceFlags.UNSEGMENTED: ConstructionRule.NO_SEGMENTATION,
}
_CODES = {2: CRC_16, 4: CRC_32}
_pack_bare = DATA_FIELD_HEADER.pack_values
_pack_pointer = DATA_FIELD_HEADER_WITH_POINTER.pack_values


class UslpChannel(MapChannel):
    """One virtual channel of USLP."""

    master: UslpMaster

    def __init__(self, link: Link, master: UslpMaster, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        self._fixed = link.channel.fixed_frame_length
        self._counts = {FrameType.AD: 0, FrameType.BD: 0}
        self._fill = OnlyIdleDataFill()
        if parameters.cop is not None and parameters.frame_count_octets_sequence_controlled != 1:
            raise ConfigurationError(
                f"{self.name}: COP-1 counts modulo 256, so frame_count_octets_sequence_controlled is 1, "
                f"not {parameters.frame_count_octets_sequence_controlled} [CCSDS 732.1-B-3 §4.1.2.11]"
            )
        for frame_type in self._counts:
            if self.data_field_octets(frame_type) < DATA_FIELD_HEADER_WITH_POINTER.octets + 1:
                raise ConfigurationError(f"{self.name}: frame_octets leave no room for a data field")

    @property
    def has_maps(self) -> bool:
        """Always."""
        return True

    def count_octets(self, frame_type: FrameType) -> int:
        """Octets of the frame count of frames of this type."""
        own = self.parameters
        if frame_type is FrameType.AD:
            return own.frame_count_octets_sequence_controlled
        return own.frame_count_octets_expedited

    def _around_octets(self, frame_type: FrameType) -> int:
        """Octets of a frame that are not of its data field."""
        octets = PRIMARY_HEADERS[self.count_octets(frame_type)].octets + self.link.channel.insert_zone_octets
        return octets + 4 * self.has_control_field + self.link.check_octets

    def data_field_octets(self, frame_type: FrameType) -> int:
        """Octets of a data field with its header; the most, in frames of variable length."""
        return self.link.channel.frame_octets - self._around_octets(frame_type)

    def open(self, service: str, map_id: int | None, sequence_controlled: bool | None, queue_octets: int) -> Source:
        """The queue of a MAP's packet, access or octet stream service."""
        name, protocol_id = self._map_name(service, map_id)
        assert map_id is not None
        frame_type = self.frame_type_of(sequence_controlled)
        octets = self.data_field_octets(frame_type)
        source: Source
        if service == "octet_stream":
            header = _pack_bare(ConstructionRule.OCTET_STREAM, protocol_id)
            source = OctetStream(name, queue_octets, octets - len(header), header, fixed=self._fixed)
        elif self._fixed:
            source = self._fixed_source(service, name, map_id, protocol_id, octets, queue_octets)
        else:
            source = Segments(
                name,
                queue_octets,
                octets - DATA_FIELD_HEADER.octets,
                blocking=service == "packets" and self.parameters.find_map(map_id).blocking,
                segmentation=True,
                wrap=lambda flags, data: _pack_bare(_RULES[flags], protocol_id) + data,
            )
        return self.add_source(map_id, Service(frame_type), source)

    def _fixed_source(
        self, service: str, name: str, map_id: int, protocol_id: int, octets: int, queue_octets: int
    ) -> Source:
        zone_octets = octets - DATA_FIELD_HEADER_WITH_POINTER.octets
        if zone_octets >= POINTER_ALL_ONES:
            raise ConfigurationError(f"{name}: no pointer reaches the end of a zone of {zone_octets} octets")
        if service == "access":
            return AccessZones(
                name, queue_octets, zone_octets, lambda rule, last, zone: _pack_pointer(rule, protocol_id, last) + zone
            )
        return PacketZones(
            self.packet_rules(map_id),
            queue_octets,
            zone_octets=zone_octets,
            no_packet_start=POINTER_ALL_ONES,
            wrap=lambda zone, pointer: (
                _pack_pointer(ConstructionRule.PACKETS_SPANNING_FRAMES, protocol_id, pointer) + zone,
                (0, 0, 3, 0),
            ),
        )

    def open_truncated(self, map_id: int, queue_octets: int) -> Source:
        """The queue of truncated frames, each with one unit of the length that fits."""
        octets = self.parameters.truncated_frame_octets
        if octets is None or self._fixed:
            raise ConfigurationError(
                f"{self.name}: truncated frames need truncated_frame_octets and frames of variable length "
                "[CCSDS 732.1-B-3 §D1]"
            )
        service = self.parameters.find_map(map_id).service
        name, protocol_id = self._map_name(service, map_id)
        header = _pack_bare(ConstructionRule.NO_SEGMENTATION, protocol_id)
        unit_octets = octets - TRUNCATED_PRIMARY_HEADER.octets - len(header)
        source = FixedUnits(f"{name}, truncated frames", queue_octets, unit_octets, header)
        return self.add_source(map_id, Service(FrameType.BD, True), source)

    def _map_name(self, service: str, map_id: int | None) -> tuple[str, int]:
        """The name and the protocol identifier of a MAP, which must be there and carry this service."""
        if map_id is None or not 0 <= map_id <= 15:
            raise ConfigurationError(f"{self.name}: map_id is {map_id}, not 0 to 15 [CCSDS 732.1-B-3 §4.1.2.5]")
        if self.virtual_channel_id == ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID:
            raise ConfigurationError(f"{self.name}: it is for Only Idle Data frames [CCSDS 732.1-B-3 §4.1.4.1.6]")
        name, map_ = f"{self.name}, MAP {map_id}, {service}", self.parameters.find_map(map_id)
        if map_.service != service:
            raise ConfigurationError(f"{name}: its service is {map_.service} (managed)")
        protocol_id = map_.uslp_protocol_id
        return name, _PROTOCOL_IDS[service] if protocol_id is None else protocol_id

    def packet_rules(self, map_id: int | None) -> PacketRules:
        """Which packets are taken."""
        assert map_id is not None
        own = self.parameters.find_map(map_id)
        return PacketRules(f"{self.name}, MAP {map_id}", own.valid_packet_versions, own.maximum_packet_octets)

    def require_fields(self) -> None:
        """Raise ProtocolError where an OCF is due and was never given."""
        if self.has_control_field and not (self.own_control_field.is_given or self.master.own_control_field.is_given):
            self.own_control_field.value()

    def encode(self, frame_type: FrameType, map_id: int, octets: bytes, number: int | None) -> bytes:
        """A frame with this data field; of type BC, with this control command."""
        if frame_type is FrameType.BC:
            octets = self._command_field(octets)
        counted = FrameType.AD if frame_type is FrameType.AD else FrameType.BD
        size = self.count_octets(counted)
        if number is None:
            number = self._counts[counted]
            if not self.parameters.frame_count_frozen:
                self._counts[counted] = number + 1
        control = self.control_field()
        header = PRIMARY_HEADERS[size].pack_values(
            *self._start(map_id, 0),
            self._around_octets(counted) + len(octets) - 1,
            frame_type.bypass_flag,
            frame_type.control_command_flag,
            0,
            int(control is not None),
            size,
            *((number % (1 << 8 * size),) if size else ()),
        )
        zone = self.link.insert_zone.next() if self.link.insert_zone is not None else b""
        frame = b"".join((header, zone, octets, control or b""))
        check = self.link.check_octets
        return append_frame_error_control(frame, _CODES[check]) if check else frame

    def encode_truncated(self, map_id: int, octets: bytes) -> bytes:
        """A truncated frame with this data field."""
        return TRUNCATED_PRIMARY_HEADER.pack_values(*self._start(map_id, 1)) + octets

    def _start(self, map_id: int, end_flag: int) -> tuple[int, ...]:
        master = self.master.parameters
        return (
            VERSION_NUMBER,
            master.spacecraft_id,
            master.source_or_destination_id,
            self.virtual_channel_id,
            map_id,
            end_flag,
        )

    def _command_field(self, command: bytes) -> bytes:
        """The data field of a control command; in a frame of fixed length it leaves the rest to fill."""
        if not self._fixed:
            return _pack_bare(ConstructionRule.NO_SEGMENTATION, COP_1_PROTOCOL_ID) + command
        zone_octets = self.data_field_octets(FrameType.BD) - DATA_FIELD_HEADER_WITH_POINTER.octets
        zone = command + self._fill.take(zone_octets - len(command))
        return _pack_pointer(ConstructionRule.START_OF_ACCESS_UNIT, COP_1_PROTOCOL_ID, len(command) - 1) + zone

    def finish(self, frame: UslpTransferFrame) -> bytes:
        """A frame made elsewhere, with insert zone and error control field."""
        return self.master.finish_master_frame(frame)


class UslpMaster(MasterNode):
    """One master channel of USLP."""

    def __init__(self, link: Link, parameters: MasterChannel) -> None:
        super().__init__(link, parameters)
        self._fill = OnlyIdleDataFill()

    def _make_channel(self, parameters: VirtualChannel) -> ChannelNode:
        return UslpChannel(self.link, self, parameters)

    def only_idle_data(self) -> SentFrame:
        """A frame of virtual channel 63, on physical channels with frames of fixed length (732.1-B-3 4.1.4.1.6)."""
        if not self.link.channel.fixed_frame_length:
            return super().only_idle_data()
        channel: UslpChannel = self.node(ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID)
        if channel.frames is not None:
            raise ConfigurationError(f"{channel.name}: its frames are made elsewhere")
        channel.require_fields()
        zone_octets = channel.data_field_octets(FrameType.BD) - DATA_FIELD_HEADER_WITH_POINTER.octets
        field = UslpTransferFrameDataField.only_idle_data(zone_octets=zone_octets, fill=self._fill).encode()
        octets = channel.encode(FrameType.BD, 0, field, None)
        return SentFrame(octets, self.spacecraft_id, channel.virtual_channel_id, (), True, FrameType.BD)

    def decode_frame(self, octets: bytes, channel: ChannelNode | None) -> UslpTransferFrame:
        """A frame made elsewhere."""
        physical = self.link.channel
        if len(octets) > physical.frame_octets or (
            physical.fixed_frame_length and len(octets) != physical.frame_octets
        ):
            raise EncodeError(f"{self.name}: frame_octets is {physical.frame_octets}, and a frame has {len(octets)}")
        frame = UslpTransferFrame.decode(
            octets,
            frame_error_control_present=physical.frame_error_control,
            frame_error_control_octets=physical.frame_error_control_octets,
            insert_zone_octets=physical.insert_zone_octets,
            check=False,
        )
        require_identity(self, frame, channel)
        return frame

    def finish_master_frame(self, frame: UslpTransferFrame) -> bytes:
        """The frame with insert zone and error control field."""
        changes: dict[str, Any] = {"received_frame_error_control_field": None}
        if self.link.insert_zone is not None:
            changes["insert_zone"] = self.link.insert_zone.next()
        octets: bytes = frame.replace(**changes).encode()
        return octets
