"""TM: master channels and virtual channels that give frames.  Source: CCSDS 132.0-B-3, section 4.2."""

from __future__ import annotations

from typing import Any

from ccsds.errors import ConfigurationError, EncodeError
from ccsds.frames import tm
from ccsds.frames.error_control import append_frame_error_control
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.tm import NO_PACKET_START, ONLY_IDLE_DATA, PRIMARY_HEADER, SECONDARY_HEADER, TmTransferFrame
from ccsds.link.managed_parameters import MasterChannel, VirtualChannel
from ccsds.link.sending.channel import ChannelNode, Link, MasterNode, SentFrame, SingleSourceChannel
from ccsds.link.sending.fields import FieldSource
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.source import Content, Source
from ccsds.link.sending.units import FixedUnits

__all__ = ["TmChannel", "TmMaster"]

_COUNTS = 256
_pack = PRIMARY_HEADER.pack_values


class TmChannel(SingleSourceChannel):
    """One virtual channel of TM."""

    master: TmMaster

    def __init__(self, link: Link, master: TmMaster, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        self.own_secondary_header: FieldSource | None = None
        own, shared = parameters.secondary_header_octets, master.secondary_header
        if own is not None and shared is None:
            self.own_secondary_header = FieldSource(f"{self.name}: secondary header", own - SECONDARY_HEADER.octets)
        around = PRIMARY_HEADER.octets + (own or (shared.octets + SECONDARY_HEADER.octets if shared else 0))
        around += 4 * self.has_control_field + link.check_octets
        self.data_octets = link.channel.frame_octets - around
        if self.data_octets < 1:
            raise ConfigurationError(f"{self.name}: {around} octets around it leave no data in a frame")

    @property
    def secondary_header(self) -> FieldSource | None:
        """Where the secondary header comes from; None where there is none."""
        return self.own_secondary_header or self.master.secondary_header

    def open_packets(self, queue_octets: int) -> Source:
        """The queue of the packet service."""
        self.require_service("packets")
        self.refuse_mixture(self.frames)
        if self.source is None:
            own = self.parameters
            rules = PacketRules(f"{self.name}, packets", own.valid_packet_versions, own.maximum_packet_octets)
            self.source = PacketZones(
                rules,
                queue_octets,
                zone_octets=self.data_octets,
                no_packet_start=NO_PACKET_START,
                wrap=lambda zone, pointer: (zone, (0, 0, 3, pointer)),
            )
        return self.source

    def open_access(self, queue_octets: int) -> Source:
        """The queue of the virtual channel access service."""
        self.require_service("access")
        self.refuse_mixture(self.frames)
        if self.source is None:
            self.source = FixedUnits(f"{self.name}, access", queue_octets, self.data_octets)
        return self.source

    def require_fields(self) -> None:
        """Raise ProtocolError where a field that every frame has was never given."""
        super().require_fields()
        header = self.secondary_header
        if header is not None and not header.is_given:
            header.value()

    def encode(self, content: Content) -> bytes:
        """The next frame with this data."""
        header, control = self.secondary_header, self.control_field()
        data = None if header is None else header.value()
        parts = [
            _pack(
                0,
                self.master.spacecraft_id,
                self.virtual_channel_id,
                int(control is not None),
                self.master.next_count(),
                self.next_count() % _COUNTS,
                int(data is not None),
                *content.status,
            )
        ]
        if data is not None:
            parts += [SECONDARY_HEADER.pack_values(0, len(data)), data]
        parts.append(content.octets)
        if control is not None:
            parts.append(control)
        octets = b"".join(parts)
        return append_frame_error_control(octets) if self.link.check_octets else octets

    def count_on(self, frames: int) -> None:
        """So many frames of this channel were made elsewhere in one go."""
        super().count_on(frames)
        self.master.frame_count = (self.master.frame_count + frames) % _COUNTS

    def _finish(self, frame: TmTransferFrame) -> bytes:
        changes: dict[str, Any] = {
            "master_channel_frame_count": self.master.next_count(),
            "received_frame_error_control_field": None,
        }
        master = self.master
        if frame.operational_control_field is not None and master.own_control_field.is_given:
            changes["operational_control_field"] = master.own_control_field.value()
        if frame.secondary_header_data_field is not None and master.secondary_header is not None:
            changes["secondary_header_data_field"] = master.secondary_header.value()
        octets: bytes = frame.replace(**changes).encode()
        return octets


class TmMaster(MasterNode):
    """One master channel of TM."""

    def __init__(self, link: Link, parameters: MasterChannel) -> None:
        super().__init__(link, parameters)
        if link.channel.frame_octets > tm.MAXIMUM_OCTETS:
            raise ConfigurationError(
                f"frame_octets is {link.channel.frame_octets}; TM frames have at most {tm.MAXIMUM_OCTETS} "
                "[CCSDS 132.0-B-3 §4.1.1]"
            )
        octets = parameters.secondary_header_octets
        self.secondary_header = (
            None if octets is None else FieldSource(f"{self.name}: secondary header", octets - SECONDARY_HEADER.octets)
        )
        self.frame_count = 0
        self._fill = OnlyIdleDataFill()

    def next_count(self) -> int:
        """The master channel frame count of the next frame."""
        count = self.frame_count
        self.frame_count = (count + 1) % _COUNTS
        return count

    def _make_channel(self, parameters: VirtualChannel) -> ChannelNode:
        return TmChannel(self.link, self, parameters)

    def only_idle_data(self) -> SentFrame:
        """A frame of the idle virtual channel, which may carry packets as well (132.0-B-3 4.1.4.6)."""
        channel: TmChannel = self.node(self.parameters.idle_virtual_channel_id)
        if channel.parameters.service != "packets" or channel.frames is not None:
            raise ConfigurationError(
                f"{channel.name}: idle_virtual_channel_id names it, and only a channel for packets can carry idle data "
                "[CCSDS 132.0-B-3 §4.1.2.7.6.5]"
            )
        channel.require_fields()
        content = Content(self._fill.take(channel.data_octets), (), (0, 0, 3, ONLY_IDLE_DATA))
        return SentFrame(channel.encode(content), self.spacecraft_id, channel.virtual_channel_id, (), True)

    def decode_frame(self, octets: bytes, channel: ChannelNode | None) -> TmTransferFrame:
        """A frame made elsewhere."""
        physical = self.link.channel
        if len(octets) != physical.frame_octets:
            raise EncodeError(f"{self.name}: a frame has {physical.frame_octets} octets, not {len(octets)}")
        frame = TmTransferFrame.decode(octets, frame_error_control_present=physical.frame_error_control, check=False)
        require_identity(self, frame, channel)
        return frame

    def finish_master_frame(self, frame: TmTransferFrame) -> bytes:
        """The frame with its error control field."""
        octets: bytes = frame.replace(received_frame_error_control_field=None).encode()
        return octets


def require_identity(master: MasterNode, frame: Any, channel: ChannelNode | None) -> None:
    """Raise EncodeError where a frame made elsewhere is of another spacecraft or virtual channel."""
    if frame.spacecraft_id != master.spacecraft_id:
        raise EncodeError(f"{master.name}: a frame of spacecraft {frame.spacecraft_id}")
    if channel is not None and frame.virtual_channel_id != channel.virtual_channel_id:
        raise EncodeError(f"{channel.name}: a frame of virtual channel {frame.virtual_channel_id}")
