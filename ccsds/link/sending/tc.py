"""TC: master channels and virtual channels that give frames.  Source: CCSDS 232.0-B-4, section 4.3."""

from __future__ import annotations

from ccsds.errors import ConfigurationError, EncodeError
from ccsds.frames.error_control import append_frame_error_control
from ccsds.frames.tc import PRIMARY_HEADER, SEGMENT_HEADER, SegmentSequenceFlags, TcTransferFrame
from ccsds.link.managed_parameters import VirtualChannel
from ccsds.link.sending.channel import ChannelNode, Link, MasterNode
from ccsds.link.sending.map_channel import MapChannel, Service
from ccsds.link.sending.packet_zones import PacketRules
from ccsds.link.sending.segments import Segments
from ccsds.link.sending.source import Source
from ccsds.link.sending.tm import require_identity
from ccsds.procedures.cop1 import FrameType

__all__ = ["TcChannel", "TcMaster"]

_CONTROL_COMMAND_OCTETS = 3
_pack = PRIMARY_HEADER.pack_values


class TcChannel(MapChannel):
    """One virtual channel of TC."""

    master: TcMaster

    def __init__(self, link: Link, master: TcMaster, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        around = PRIMARY_HEADER.octets + link.check_octets
        self.capacity = link.channel.frame_octets - around - SEGMENT_HEADER.octets * parameters.segment_header
        least = _CONTROL_COMMAND_OCTETS if parameters.cop is not None else 1
        if link.channel.frame_octets - around < least or self.capacity < 1:
            raise ConfigurationError(f"{self.name}: {around} octets around it leave no room for data in a frame")

    @property
    def has_maps(self) -> bool:
        """With segment headers."""
        return self.parameters.segment_header

    @property
    def has_control_field(self) -> bool:
        """TC frames have no OCF."""
        return False

    def open(self, service: str, map_id: int | None, sequence_controlled: bool | None, queue_octets: int) -> Source:
        """The queue of a MAP's packet or access service, or of the virtual channel's where there are no MAPs."""
        if (map_id is not None) != self.has_maps:
            needs = "frames have segment headers, so name a" if self.has_maps else "without segment headers there is no"
            raise ConfigurationError(f"{self.name}: {needs} map_id [CCSDS 232.0-B-4 §4.1.3.2.2]")
        name, own = f"{self.name}, {service}", self.parameters
        if map_id is None:
            self.require_service(service)
            blocking = own.blocking
        else:
            if not 0 <= map_id <= 63:
                raise ConfigurationError(f"{self.name}: map_id is {map_id}, not 0 to 63 [CCSDS 232.0-B-4 §4.1.3.2.2.3]")
            name, map_ = f"{self.name}, MAP {map_id}, {service}", own.find_map(map_id)
            if map_.service != service:
                raise ConfigurationError(f"{name}: its service is {map_.service} (managed)")
            blocking = map_.blocking
        frame_type = self.frame_type_of(sequence_controlled)
        if frame_type is FrameType.AD and own.cop is None:
            raise ConfigurationError(f'{name}: sequence-controlled frames need cop = "COP-1"')
        segments = Segments(
            name,
            queue_octets,
            self.capacity,
            blocking=blocking and service == "packets",
            segmentation=self.has_maps,
            wrap=lambda flags, octets: _wrap(flags, map_id, octets),
        )
        return self.add_source(map_id or 0, Service(frame_type), segments)

    def packet_rules(self, map_id: int | None) -> PacketRules:
        """Which packets are taken."""
        own = self.parameters if map_id is None else self.parameters.find_map(map_id)
        return PacketRules(f"{self.name}, packets", own.valid_packet_versions, own.maximum_packet_octets)

    def encode(self, frame_type: FrameType, map_id: int, octets: bytes, number: int | None) -> bytes:
        """A frame with this data field, segment header included."""
        length = PRIMARY_HEADER.octets + len(octets) + self.link.check_octets - 1
        header = _pack(
            0,
            frame_type.bypass_flag,
            frame_type.control_command_flag,
            0,
            self.master.spacecraft_id,
            self.virtual_channel_id,
            length,
            number or 0,
        )
        return append_frame_error_control(header + octets) if self.link.check_octets else header + octets

    def finish(self, frame: TcTransferFrame) -> bytes:
        """The frame with its error control field."""
        return self.master.finish_master_frame(frame)


def _wrap(flags: SegmentSequenceFlags, map_id: int | None, octets: bytes) -> bytes:
    return octets if map_id is None else SEGMENT_HEADER.pack_values(flags, map_id) + octets


class TcMaster(MasterNode):
    """One master channel of TC."""

    def _make_channel(self, parameters: VirtualChannel) -> ChannelNode:
        return TcChannel(self.link, self, parameters)

    def decode_frame(self, octets: bytes, channel: ChannelNode | None) -> TcTransferFrame:
        """A frame made elsewhere; what its data field holds is not looked at."""
        frame = TcTransferFrame.decode(
            octets,
            segment_header_present=False,
            frame_error_control_present=self.link.channel.frame_error_control,
            check=False,
        )
        if len(octets) > self.link.channel.frame_octets:
            raise EncodeError(f"{self.name}: a frame of {len(octets)} octets is over frame_octets")
        require_identity(self, frame, channel)
        return frame

    def finish_master_frame(self, frame: TcTransferFrame) -> bytes:
        """The frame with its error control field."""
        octets: bytes = frame.replace(received_frame_error_control_field=None).encode()
        return octets
