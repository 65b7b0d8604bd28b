"""A small spacecraft: takes CLTUs in, answers with frames that carry its CLCWs and housekeeping.

It plays the receiving end of 231.0-B-4, 232.0-B-4 and 232.1-B-2 (FARM-1 on each virtual channel) and the sending end of
a TM, AOS or USLP downlink.  No socket, no clock: time is an argument in nanoseconds.
"""

from __future__ import annotations

import binascii
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from ccsds.coding.cltu_decoder import ReceivedCltu
from ccsds.errors import ConfigurationError, DecodeError
from ccsds.frames.operational_control_field import Clcw
from ccsds.frames.tc import PRIMARY_HEADER, SegmentSequenceFlags, TcTransferFrame
from ccsds.layout import Field, Layout, Octets
from ccsds.link.commanding import physical_channel_of
from ccsds.link.managed_parameters import Mission, PhysicalChannel, VirtualChannel
from ccsds.link.sender import QueueFullError, Sender
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.cop1 import Cop1Frame, FrameType
from ccsds.procedures.farm1 import ControlCommandExecuted, Farm1, Farm1Parameters, FduArrived
from ccsds.procedures.frame_delimiting import FrameDelimiter
from ccsds.procedures.segmentation import Reassembler, ServiceDataUnit, packets_of

__all__ = [
    "HOUSEKEEPING",
    "HOUSEKEEPING_APPLICATION_PROCESS_ID",
    "VERIFICATION",
    "VERIFICATION_APPLICATION_PROCESS_ID",
    "ReceivedCommand",
    "Spacecraft",
    "SpacecraftCounters",
]

HOUSEKEEPING_APPLICATION_PROCESS_ID: Final = 10
VERIFICATION_APPLICATION_PROCESS_ID: Final = 11
ECHO_OCTETS: Final = 64
_PAGE = "docs/commanding.md"

HOUSEKEEPING = Layout(
    "housekeeping packet data field",
    _PAGE,
    Field("uptime_ms", 48, "housekeeping"),
    Field("cltus", 32, "housekeeping"),
    Field("corrected_bits", 32, "housekeeping"),
    Field("rejected_codewords", 32, "housekeeping"),
    Field("frames", 32, "housekeeping"),
    Field("invalid_frames", 32, "housekeeping"),
    Field("accepted_frames", 32, "housekeeping"),
    Field("discarded_frames", 32, "housekeeping"),
    Field("control_commands", 32, "housekeeping"),
    Field("commands", 32, "housekeeping"),
    Field("downlink_frames", 32, "housekeeping"),
)
VERIFICATION = Layout(
    "command verification packet data field",
    _PAGE,
    Field("virtual_channel_id", 8, "verification"),
    Field("map_id", 8, "verification"),
    Field("sequence_controlled", 8, "verification"),
    Field("checksum", 16, "verification"),
    Field("command_octets", 32, "verification"),
)


class SpacecraftCounters(msgspec.Struct, kw_only=True):
    """What came and went."""

    octets: int = 0
    cltus: int = 0
    frames: int = 0
    """that were cut out of CLTUs and hold"""
    invalid_frames: int = 0
    """of another channel than the profile lists, or that do not decode"""
    accepted_frames: int = 0
    discarded_frames: int = 0
    """by FARM-1"""
    control_commands: int = 0
    commands: int = 0
    """packets and data units that were delivered"""
    discarded_units: int = 0
    """segments without beginning or end, and octets that are no packet"""
    dropped_reports: int = 0
    """packets for which the downlink had no room"""
    downlink_frames: int = 0


class ReceivedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A packet, or a data unit of an access service, that was delivered.  map_id is -1 where there are no MAPs."""

    time_ns: int
    virtual_channel_id: int
    map_id: int
    sequence_controlled: bool
    octets: bytes


class Spacecraft:
    """One spacecraft of the profiles, which the ground has too.

    Args:   uplink: TC frames with `command_coding`.  downlink: TM, AOS or USLP frames of fixed length with an OCF.
            housekeeping_ns: time between housekeeping packets.
    Raises: ConfigurationError: the profiles do not hold, or do not say what is needed.
    """

    def __init__(
        self,
        uplink: Mission | PhysicalChannel | str | Path = "demo-uplink",
        downlink: Mission | PhysicalChannel | str | Path = "demo-downlink",
        *,
        housekeeping_ns: int = 1_000_000_000,
    ) -> None:
        self.uplink, self.downlink = physical_channel_of(uplink), physical_channel_of(downlink)
        coding, masters = self.uplink.command_coding, self.uplink.master_channels
        if self.uplink.frame_type != "TC" or coding is None or len(masters) != 1:
            raise ConfigurationError("a spacecraft needs an uplink of TC frames, command_coding and one master channel")
        if not self.downlink.fixed_frame_length:
            raise ConfigurationError("a spacecraft needs a downlink of TM, AOS or USLP frames of fixed length")
        self.counters = SpacecraftCounters()
        self.spacecraft_id = masters[0].spacecraft_id
        self._channels = {channel.virtual_channel_id: channel for channel in masters[0].virtual_channels}
        self._carrier_stops = coding.plop == 1
        self.decoder = coding.decoder()
        self._information_octets = self.decoder.parameters.facts.information_octets
        self.delimiter = FrameDelimiter(
            frame_error_control_present=self.uplink.frame_error_control, spacecraft_ids=(self.spacecraft_id,)
        )
        self.farms = {id_: _farm(channel) for id_, channel in self._channels.items() if channel.cop is not None}
        self._reassemblers: dict[tuple[int, FrameType, int], Reassembler] = {}
        self._commands: deque[ReceivedCommand] = deque()
        self._connect(housekeeping_ns)

    def _connect(self, housekeeping_ns: int) -> None:
        self.sender = Sender(self.downlink)
        self._housekeeping_ns = housekeeping_ns
        self._started_ns: int | None = None
        self._next_housekeeping_ns = 0
        self._counts = {HOUSEKEEPING_APPLICATION_PROCESS_ID: 0, VERIFICATION_APPLICATION_PROCESS_ID: 0}
        known = self.downlink.find(self.spacecraft_id, 0)[0].virtual_channels
        channel = known[0].virtual_channel_id if known else 0
        map_id = None
        if self.downlink.frame_type == "USLP":
            maps = known[0].maps if known else ()
            map_id = maps[0].map_id if maps else 0
        controlled = False if map_id is not None else None
        self._packets = self.sender.packets(self.spacecraft_id, channel, map_id, sequence_controlled=controlled)
        self._turn = 0
        self.sender.operational_control_field(self.spacecraft_id).set(self._next_clcw)

    # -- uplink --------------------------------------------------------------------------------------------------------

    def handle_uplink(self, octets: Octets, *, now_ns: int) -> None:
        """Octets of the carrier.  With PLOP-1 each call is one modulated stretch: the receiver starts anew."""
        self._start(now_ns)
        self.counters.octets += len(octets)
        received: list[ReceivedCltu] = list(self.decoder.feed(bytes(octets)))
        if self._carrier_stops:
            received += self.decoder.deactivate()
            self.decoder.activate()
        for cltu in received:
            self.counters.cltus += 1
            for frame in self.delimiter.frames_of(cltu.octets, codeword_information_octets=self._information_octets):
                self.counters.frames += 1
                self._handle_frame(frame.octets, now_ns)

    def poll_command(self) -> ReceivedCommand | None:
        """The next command that was delivered, or None."""
        return self._commands.popleft() if self._commands else None

    def _handle_frame(self, octets: bytes, now_ns: int) -> None:
        channel = self._channels.get(PRIMARY_HEADER.unpack(octets)["virtual_channel_id"])
        if channel is None:
            self.counters.invalid_frames += 1
            return
        farm = self.farms.get(channel.virtual_channel_id)
        try:
            frame = TcTransferFrame.decode(
                octets,
                segment_header_present=channel.segment_header,
                frame_error_control_present=self.uplink.frame_error_control,
            )
        except DecodeError:
            self.counters.invalid_frames += 1
            if farm is not None:
                farm.handle_invalid_frame()
            return
        if farm is None:
            self._accept(channel, frame, now_ns)
            return
        # Types are told apart by two flags; the codec has refused the combination that is reserved.
        fields = {
            name: getattr(frame, name) for name in ("bypass_flag", "control_command_flag", "frame_sequence_number")
        }
        farm.handle_frame(Cop1Frame.received(**fields, octets=frame.transfer_frame_data_unit))
        while (event := farm.poll_event()) is not None:
            if isinstance(event, FduArrived):
                self._accept(channel, frame, now_ns)
            elif isinstance(event, ControlCommandExecuted):
                self.counters.control_commands += 1
            else:
                self.counters.discarded_frames += 1

    def _accept(self, channel: VirtualChannel, frame: TcTransferFrame, now_ns: int) -> None:
        if frame.control_command_flag:  # on a channel without a COP there is nobody to execute it
            self.counters.discarded_frames += 1
            return
        self.counters.accepted_frames += 1
        data, map_id = frame.transfer_frame_data_unit, -1 if frame.map_id is None else frame.map_id
        service = channel.service if frame.map_id is None else channel.find_map(frame.map_id).service
        controlled = not frame.bypass_flag
        if frame.sequence_flags is None:
            self._deliver(channel, map_id, service, controlled, data, now_ns)
            return
        kind = FrameType.AD if controlled else FrameType.BD
        key = (channel.virtual_channel_id, kind, map_id)
        if key not in self._reassemblers:
            self._reassemblers[key] = Reassembler(channel.find_map(map_id).maximum_packet_octets)
        for event in self._reassemblers[key].handle_segment(SegmentSequenceFlags(frame.sequence_flags), data):
            if isinstance(event, ServiceDataUnit):
                self._deliver(channel, map_id, service, controlled, event.octets, now_ns)
            else:
                self.counters.discarded_units += 1

    def _deliver(
        self, channel: VirtualChannel, map_id: int, service: str, controlled: bool, octets: bytes, now_ns: int
    ) -> None:
        units = [octets]
        if service == "packets":
            units, rest = packets_of(octets)
            self.counters.discarded_units += bool(rest)
        for unit in units:
            self.counters.commands += 1
            command = ReceivedCommand(
                time_ns=now_ns,
                virtual_channel_id=channel.virtual_channel_id,
                map_id=map_id,
                sequence_controlled=controlled,
                octets=unit,
            )
            self._commands.append(command)
            self._report(VERIFICATION_APPLICATION_PROCESS_ID, _verification(command))

    # -- downlink ------------------------------------------------------------------------------------------------------

    def next_frame(self, now_ns: int) -> bytes:
        """The next frame as it goes on the line, at the frame rate of whoever asks: idle where there is nothing."""
        self._start(now_ns)
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = max(self._next_housekeeping_ns + self._housekeeping_ns, now_ns)
            self._report(HOUSEKEEPING_APPLICATION_PROCESS_ID, self.housekeeping(now_ns))
        self.counters.downlink_frames += 1
        return bytes(self.sender.cadus(self.sender.emit(1, now_ns)))

    def housekeeping(self, now_ns: int) -> bytes:
        """The data field of a housekeeping packet (HOUSEKEEPING) as of now."""
        counters, line = self.counters, self.decoder.counters
        values = {name: getattr(counters, name) for name in HOUSEKEEPING.names if hasattr(counters, name)}
        values["uptime_ms"] = (now_ns - (self._started_ns or now_ns)) // 1_000_000
        values["corrected_bits"], values["rejected_codewords"] = line.corrected_bits, line.rejected_codewords
        return HOUSEKEEPING.pack({field.name: values[field.name] % (1 << field.bits) for field in HOUSEKEEPING.fields})

    def clcws(self) -> dict[int, Clcw]:
        """The CLCW of each virtual channel with a COP, as of now."""
        return {id_: farm.clcw() for id_, farm in self.farms.items()}

    def _next_clcw(self) -> Clcw | bytes:
        """Of its virtual channels by turns; without any, a report of no COP."""
        if not self.farms:
            return bytes(4)
        turns = sorted(self.farms)
        self._turn += 1
        return self.farms[turns[self._turn % len(turns)]].clcw()

    def _report(self, application_process_id: int, data: bytes) -> None:
        count = self._counts[application_process_id]
        self._counts[application_process_id] = (count + 1) % 16384
        packet = SpacePacket(
            application_process_id=application_process_id, packet_data_field=data, packet_sequence_count=count
        )
        try:
            self._packets.send(packet)
        except QueueFullError:
            self.counters.dropped_reports += 1

    def _start(self, now_ns: int) -> None:
        if self._started_ns is None:
            self._started_ns = self._next_housekeeping_ns = now_ns


def _farm(channel: VirtualChannel) -> Farm1:
    if channel.cop_1 is None:
        raise ConfigurationError(f"virtual channel {channel.virtual_channel_id}: FARM-1 needs cop_1")
    return Farm1(
        Farm1Parameters(
            virtual_channel_id=channel.virtual_channel_id,
            sliding_window_width=channel.cop_1.farm_sliding_window_width,
        )
    )


def _verification(command: ReceivedCommand) -> bytes:
    """What was received, and the first octets of it."""
    header = VERIFICATION.pack(
        {
            "virtual_channel_id": command.virtual_channel_id,
            "map_id": command.map_id % 256,
            "sequence_controlled": int(command.sequence_controlled),
            "checksum": binascii.crc_hqx(command.octets, 0xFFFF),
            "command_octets": len(command.octets),
        }
    )
    return header + command.octets[:ECHO_OCTETS]
