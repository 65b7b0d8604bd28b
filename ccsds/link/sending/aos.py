"""AOS: master channels and virtual channels that give frames.  Source: CCSDS 732.0-B-5, section 4.2."""

from __future__ import annotations

from typing import Any

from ccsds.errors import ConfigurationError, EncodeError
from ccsds.frames.aos import (
    ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID,
    PRIMARY_HEADER,
    PRIMARY_HEADER_ISSUE_4,
    VERSION_NUMBER,
    AosTransferFrame,
)
from ccsds.frames.aos_data_field import (
    B_PDU_HEADER,
    M_PDU_HEADER,
    M_PDU_HEADER_ISSUE_4,
    NO_PACKET_START,
    NO_PACKET_START_ISSUE_4,
    ONLY_IDLE_BITS,
)
from ccsds.frames.error_control import append_frame_error_control, append_header_error_control
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.link.managed_parameters import MasterChannel, VirtualChannel
from ccsds.link.sending.channel import ChannelNode, Link, MasterNode, SentFrame, SingleSourceChannel
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.source import Content, Source
from ccsds.link.sending.tm import require_identity
from ccsds.link.sending.units import Bitstream, FixedUnits

__all__ = ["AosChannel", "AosMaster"]


class AosChannel(SingleSourceChannel):
    """One virtual channel of AOS."""

    master: AosMaster

    def __init__(self, link: Link, master: AosMaster, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        physical = link.channel
        around = PRIMARY_HEADER.octets + 2 * (physical.header_error_control is not None)
        around += physical.insert_zone_octets + 4 * self.has_control_field + link.check_octets
        self.data_octets = physical.frame_octets - around
        self._early = physical.issue < 5
        self._pack = (PRIMARY_HEADER_ISSUE_4 if self._early else PRIMARY_HEADER).pack_values
        if self.data_octets < 1:
            raise ConfigurationError(f"{self.name}: {around} octets around it leave no data in a frame")

    def _zone_octets(self, header_octets: int, largest: int, what: str) -> int:
        """Octets of a zone behind a header; its pointer must reach every octet of it."""
        octets = self.data_octets - header_octets
        if not 1 <= octets <= largest:
            raise ConfigurationError(f"{self.name}: {what} of {octets} octets, not 1 to {largest}")
        return octets

    def open_packets(self, queue_octets: int) -> Source:
        """The queue of the packet service."""
        self._require_user_channel("packets")
        if self.source is None:
            no_start = NO_PACKET_START_ISSUE_4 if self._early else NO_PACKET_START
            zone_octets = self._zone_octets(M_PDU_HEADER.octets, no_start - 1, "a packet zone")
            own = self.parameters
            rules = PacketRules(f"{self.name}, packets", own.valid_packet_versions, own.maximum_packet_octets)
            self.source = PacketZones(
                rules,
                queue_octets,
                zone_octets=zone_octets,
                no_packet_start=no_start,
                wrap=_wrap_early if self._early else _wrap,
            )
        return self.source

    def open_access(self, queue_octets: int) -> Source:
        """The queue of the virtual channel access service."""
        self._require_user_channel("access")
        if self.source is None:
            self.source = FixedUnits(f"{self.name}, access", queue_octets, self.data_octets)
        return self.source

    def open_bitstream(self, queue_octets: int) -> Source:
        """The queue of the bitstream service."""
        self._require_user_channel("bitstream")
        if self.source is None:
            zone_octets = self._zone_octets(B_PDU_HEADER.octets, ONLY_IDLE_BITS // 8, "a bitstream zone")
            self.source = Bitstream(f"{self.name}, bitstream", queue_octets, zone_octets)
        return self.source

    def _require_user_channel(self, service: str) -> None:
        if self.virtual_channel_id == ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID:
            raise ConfigurationError(f"{self.name}: it is for Only Idle Data frames [CCSDS 732.0-B-5 §4.1.2.3]")
        self.require_service(service)
        self.refuse_mixture(self.frames)

    def encode(self, content: Content) -> bytes:
        """The next frame with this data field."""
        control, count = self.control_field(), self.next_count()
        has_cycle = self.parameters.frame_count_cycle
        spacecraft = self.master.spacecraft_id
        octets = self._pack(
            VERSION_NUMBER,
            spacecraft & 0xFF,
            self.virtual_channel_id,
            count & 0xFFFFFF,
            int(self.parameters.replay_flag),
            int(has_cycle),
            spacecraft >> 8,
            count >> 24 & 0xF if has_cycle else 0,
        )
        if self.link.channel.header_error_control is not None:
            octets = append_header_error_control(octets)
        zone = self.link.insert_zone.next() if self.link.insert_zone is not None else b""
        octets = b"".join((octets, zone, content.octets, control or b""))
        return append_frame_error_control(octets) if self.link.check_octets else octets

    def _finish(self, frame: AosTransferFrame) -> bytes:
        return self.master.finish_master_frame(frame)


def _wrap(zone: bytes, pointer: int) -> tuple[bytes, tuple[int, int, int, int]]:
    return M_PDU_HEADER.pack_values(pointer) + zone, (0, 0, 3, 0)


def _wrap_early(zone: bytes, pointer: int) -> tuple[bytes, tuple[int, int, int, int]]:
    return M_PDU_HEADER_ISSUE_4.pack_values(0, pointer) + zone, (0, 0, 3, 0)


class AosMaster(MasterNode):
    """One master channel of AOS."""

    def __init__(self, link: Link, parameters: MasterChannel) -> None:
        super().__init__(link, parameters)
        self._fill = OnlyIdleDataFill()

    def _make_channel(self, parameters: VirtualChannel) -> ChannelNode:
        return AosChannel(self.link, self, parameters)

    def only_idle_data(self) -> SentFrame:
        """A frame of virtual channel 63 (732.0-B-5 4.1.4.1.6)."""
        # without a turn, and without a place in a polling vector: its frames come when nobody else has any
        channel: AosChannel = self.node(ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID)
        if channel.frames is not None:
            raise ConfigurationError(f"{channel.name}: its frames are made elsewhere")
        channel.require_fields()
        octets = channel.encode(Content(self._fill.take(channel.data_octets)))
        return SentFrame(octets, self.spacecraft_id, channel.virtual_channel_id, (), True)

    def decode_frame(self, octets: bytes, channel: ChannelNode | None) -> AosTransferFrame:
        """A frame made elsewhere."""
        physical = self.link.channel
        if len(octets) != physical.frame_octets:
            raise EncodeError(f"{self.name}: a frame has {physical.frame_octets} octets, not {len(octets)}")
        frame = AosTransferFrame.decode(
            octets,
            frame_error_control_present=physical.frame_error_control,
            frame_header_error_control_present=physical.header_error_control is not None,
            insert_zone_octets=physical.insert_zone_octets,
            issue=physical.issue,
            check=False,
        )  # an OCF, where there is one, stays part of the data field
        require_identity(self, frame, channel)
        return frame

    def finish_master_frame(self, frame: AosTransferFrame) -> bytes:
        """The frame with insert zone and error control field."""
        changes: dict[str, Any] = {
            "received_frame_error_control_field": None,
            "received_frame_header_error_control": None,
        }
        if self.link.insert_zone is not None:
            changes["insert_zone"] = self.link.insert_zone.next()
        octets: bytes = frame.replace(**changes).encode()
        return octets
