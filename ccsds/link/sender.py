"""The sending chain: packets and other data in, transfer frames out.  The mirror image of `ccsds.link.receiver`.

Sources: CCSDS 132.0-B-3, 732.0-B-5 and 732.1-B-3, sections 4.2; 232.0-B-4, section 4.3.  No socket, no clock: time is
an argument in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from ccsds import _native
from ccsds.errors import ConfigurationError, EncodeError, ProtocolError
from ccsds.layout import Octets
from ccsds.link.managed_parameters import MasterChannel, Mission, PhysicalChannel
from ccsds.link.missions import load_mission
from ccsds.link.sending.access_points import (
    AccessService,
    BitstreamService,
    FrameService,
    OctetStreamService,
    PacketService,
    TruncatedFrameService,
)
from ccsds.link.sending.aos import AosChannel, AosMaster
from ccsds.link.sending.channel import Link, MasterNode, SentFrame, turns_of
from ccsds.link.sending.fields import FieldSource, InsertZone
from ccsds.link.sending.map_channel import MapChannel
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.sequence_control import SequenceControl, UnitNotification
from ccsds.link.sending.source import QUEUE_OCTETS, QueueFullError
from ccsds.link.sending.tc import TcChannel, TcMaster
from ccsds.link.sending.tm import TmChannel, TmMaster
from ccsds.link.sending.uslp import UslpChannel, UslpMaster
from ccsds.procedures.fop1_primitives import Alert, DirectiveNotification, Suspended
from ccsds.procedures.multiplexing import AbsolutePriority, Turns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ChannelEvent", "QueueFullError", "Sender", "SentFrame", "UnitNotification"]

_MASTERS: dict[str, type[MasterNode]] = {"TM": TmMaster, "AOS": AosMaster, "TC": TcMaster, "USLP": UslpMaster}
_IDS = {"TM": 1024, "AOS": 1024, "TC": 1024, "USLP": 1 << 16}


class ChannelEvent(NamedTuple):
    """What COP-1 says about one virtual channel."""

    spacecraft_id: int
    virtual_channel_id: int
    event: UnitNotification | DirectiveNotification | Alert | Suspended


class Sender:
    """One physical channel, sending.

    Access points (`packets`, `access`, `bitstream`, `octet_stream`, `virtual_channel_frames`, ...) take what users
    send; `next_frame`, `frames` and `emit` give transfer frames in the order of the multiplexing schemes.  The same
    call twice gives the same queue.

    Args:   mission: a mission or physical channel, the name of a profile, or the path of a TOML file: the same that a
                `Receiver` of this link is made from.
            queue_octets: what may wait at one access point.
    Raises: ConfigurationError: the parameters contradict each other, or there is no physical channel.
    """

    def __init__(self, mission: Mission | PhysicalChannel | str | Path, *, queue_octets: int = QUEUE_OCTETS) -> None:
        if isinstance(mission, str | Path):
            mission = load_mission(mission)
        channel = mission.physical_channel if isinstance(mission, Mission) else mission
        if channel is None:
            raise ConfigurationError("this mission has packets only; a sender needs a physical channel")
        self._channel = channel
        self._queue_octets = queue_octets
        self._link = Link(channel)
        self._masters: dict[int, MasterNode] = {}
        self._turns: Turns[int] = AbsolutePriority({})
        self._coder: _native.ChannelCoder | None = None
        for master in channel.master_channels:
            self._add(master)

    @property
    def channel(self) -> PhysicalChannel:
        """The managed parameters in force."""
        return self._channel

    @property
    def pending_octets(self) -> int:
        """Octets of users that have not gone into frames."""
        return sum(source.pending_octets for master in self._masters.values() for source in master.sources())

    # -- service access points -----------------------------------------------------------------------------------------

    def packets(
        self,
        spacecraft_id: int,
        virtual_channel_id: int,
        map_id: int | None = None,
        *,
        sequence_controlled: bool | None = None,
    ) -> PacketService:
        """The packet service of a virtual channel, or of one of its MAPs (TC with segment headers, USLP).

        sequence_controlled: TC and USLP, frames of type A or of type B; left out, of type A where there is a COP.
        Raises: ConfigurationError: the managed parameters say otherwise.
        """
        node = self._master(spacecraft_id).find(virtual_channel_id)
        if isinstance(node, MapChannel):
            mapped = cast(TcChannel | UslpChannel, node)
            rules = mapped.packet_rules(self._map_id(map_id))
            source = mapped.open("packets", map_id, sequence_controlled, self._queue_octets)
            return PacketService(self._link, source, rules)
        self._refuse_maps(map_id, sequence_controlled)
        return PacketService(self._link, node.open_packets(self._queue_octets), _rules(node))

    def access(
        self,
        spacecraft_id: int,
        virtual_channel_id: int,
        map_id: int | None = None,
        *,
        sequence_controlled: bool | None = None,
    ) -> AccessService:
        """The access service of a virtual channel (VCA), or of one of its MAPs (MAPA)."""
        node = self._master(spacecraft_id).find(virtual_channel_id)
        if isinstance(node, MapChannel):
            mapped = cast(TcChannel | UslpChannel, node)
            source = mapped.open("access", map_id, sequence_controlled, self._queue_octets)
            return AccessService(self._link, source)
        self._refuse_maps(map_id, sequence_controlled)
        return AccessService(self._link, node.open_access(self._queue_octets))

    def bitstream(self, spacecraft_id: int, virtual_channel_id: int) -> BitstreamService:
        """The bitstream service of a virtual channel (AOS)."""
        self._require("AOS", "bitstream")
        node: AosChannel = self._master(spacecraft_id).find(virtual_channel_id)
        return BitstreamService(self._link, node.open_bitstream(self._queue_octets))

    def octet_stream(
        self, spacecraft_id: int, virtual_channel_id: int, map_id: int, *, sequence_controlled: bool | None = None
    ) -> OctetStreamService:
        """The octet stream service of a MAP (USLP).  Frames of fixed length wait until they are full."""
        self._require("USLP", "octet_stream")
        node: UslpChannel = self._master(spacecraft_id).find(virtual_channel_id)
        source = node.open("octet_stream", map_id, sequence_controlled, self._queue_octets)
        return OctetStreamService(self._link, source)

    def truncated_frames(self, spacecraft_id: int, virtual_channel_id: int, map_id: int) -> TruncatedFrameService:
        """Truncated frames of a MAP (USLP with frames of variable length)."""
        self._require("USLP", "truncated_frames")
        node: UslpChannel = self._master(spacecraft_id).find(virtual_channel_id)
        return TruncatedFrameService(self._link, node.open_truncated(map_id, self._queue_octets))

    def virtual_channel_frames(self, spacecraft_id: int, virtual_channel_id: int) -> FrameService:
        """The VC frame service: frames of one virtual channel, made elsewhere."""
        node = self._master(spacecraft_id).find(virtual_channel_id)
        return FrameService(self._link, node.open_frames(self._queue_octets))

    def master_channel_frames(self, spacecraft_id: int) -> FrameService:
        """The MC frame service: all frames of one spacecraft, made elsewhere."""
        return FrameService(self._link, self._master(spacecraft_id).open_frames(self._queue_octets))

    def secondary_header(self, spacecraft_id: int, virtual_channel_id: int | None = None) -> FieldSource:
        """The secondary header data field of a virtual channel, or of all of a master channel (TM).

        Its `set` takes octets, or a callable that gives them for each frame.
        """
        self._require("TM", "secondary_header")
        master = cast(TmMaster, self._master(spacecraft_id))
        field = master.secondary_header
        if virtual_channel_id is not None:
            node: TmChannel = master.node(virtual_channel_id)
            field = node.own_secondary_header
        if field is None:
            raise ConfigurationError(f"{master.name}: no secondary_header_octets there (managed)")
        return field

    def operational_control_field(self, spacecraft_id: int, virtual_channel_id: int | None = None) -> FieldSource:
        """The OCF of a virtual channel, or of all of a master channel that have none of their own (TM, AOS, USLP).

        Its `set` takes four octets, a Clcw, or a callable that gives them for each frame (FARM-1's `clcw`, say).
        """
        self._require(("TM", "AOS", "USLP"), "operational_control_field")
        master = self._master(spacecraft_id)
        if virtual_channel_id is None:
            return master.own_control_field
        node = master.node(virtual_channel_id)
        if not node.has_control_field:
            raise ConfigurationError(f"{node.name}: it has no operational_control_field (managed)")
        return cast(FieldSource, node.own_control_field)

    def insert_zone(self) -> InsertZone:
        """The insert service (AOS, and USLP of fixed length)."""
        if self._link.insert_zone is None:
            raise ConfigurationError("insert_zone_octets is 0 (managed)")
        return self._link.insert_zone

    def sequence_control(self, spacecraft_id: int, virtual_channel_id: int) -> SequenceControl:
        """COP-1 of a virtual channel (TC, USLP): its `direct` begins AD service."""
        self._require(("TC", "USLP"), "sequence_control")
        node: MapChannel = self._master(spacecraft_id).find(virtual_channel_id)
        return node.require_control()

    # -- frames --------------------------------------------------------------------------------------------------------

    def next_frame(self, now_ns: int = 0) -> SentFrame | None:
        """The next frame that is due: full, or flushed, or of variable length; None where there is none.

        Raises: ProtocolError: a field that its frames must have was never given; nothing is lost by that.
        """
        return self._next(now_ns, False)

    def frames(self, maximum: int, now_ns: int = 0) -> list[SentFrame]:
        """As many as are due, at most `maximum`."""
        frames: list[SentFrame] = []
        while len(frames) < maximum:
            frame = self._next(now_ns, False)
            if frame is None:
                break
            frames.append(frame)
        return frames

    def emit(self, count: int, now_ns: int = 0) -> list[SentFrame]:
        """Exactly `count` frames for a link that always sends (fixed length: TM, AOS, USLP).

        Where none is due, one that is not full is completed with idle data; where nothing waits at all, or a rate limit
        holds it back, it is an Only Idle Data frame of the first master channel that can have one.
        Raises: ProtocolError: frames of variable length have no idle frames; or there is no master channel.
        """
        if not self._channel.fixed_frame_length:
            raise ProtocolError(f"{self._channel.frame_type} frames of variable length: send them when they are due")
        frames = []
        for _ in range(count):
            frame = self._next(now_ns, False) or self._next(now_ns, True)
            frames.append(self._only_idle_data() if frame is None else frame)
        return frames

    # -- the batch face ------------------------------------------------------------------------------------------------

    def send_batch(
        self,
        spacecraft_id: int,
        virtual_channel_id: int,
        octets: Octets,
        offsets: NDArray[np.uint64],
        now_ns: int = 0,
        *,
        coded: bool = False,
    ) -> memoryview:
        """The frames that these packets fill, with what waits on their virtual channel before them (TM, AOS).

        They come at once, end to end, and whoever calls this has chosen whose turn it is: multiplexing is not asked,
        rate limits are charged.  Packets that fill no frame wait as others do.  A callable for a field is asked once.
        No Python object is made for a packet or a frame.

        Args:   octets, offsets: packet i is octets[offsets[i]:offsets[i + 1]]; `bytes` are read in place.
                coded: channel access data units instead of frames, as `cadus` makes them.
        Raises: EncodeError: one of them is no packet of a version and length that are valid here; nothing is taken.
        """
        from ccsds.link.sending.batch import packet_frames

        self._require(("TM", "AOS"), "send_batch")
        node: TmChannel | AosChannel = self._master(spacecraft_id).find(virtual_channel_id)
        zones = cast(PacketZones, node.open_packets(self._queue_octets))
        made = packet_frames(node, zones, _rules(node), octets, offsets, self._coder_in_use() if coded else None)
        unit_octets = self._coder_in_use().unit_octets if coded else self._channel.frame_octets
        frame_octets = len(made) // unit_octets * self._channel.frame_octets
        for limit in (node.limit, self._master(spacecraft_id).limit):
            if limit is not None:
                limit.charge(frame_octets, now_ns)
        return made

    def cadus(self, frames: Octets | Iterable[SentFrame]) -> memoryview:
        """Frames as they go on the line: coded, randomized, each with its marker, as far as the channel has these.

        Args:   frames: as `emit` and `frames` give them, or octets of whole frames end to end.
        Raises: ConfigurationError: frames of variable length, or a marker that is not whole octets.
                EncodeError: octets that are not whole frames.
        """
        coder = self._coder_in_use()
        if not isinstance(frames, bytes | bytearray | memoryview):
            frames = b"".join(frame.octets for frame in frames)
        rest = len(frames) % self._channel.frame_octets
        if rest:
            raise EncodeError(f"cadus: {rest} octets are left over after frames of {self._channel.frame_octets}")
        return memoryview(coder.encode(frames))

    def _coder_in_use(self) -> _native.ChannelCoder:
        if self._coder is None:
            from ccsds.link.sending.batch import channel_coder

            self._coder = channel_coder(self._channel)
        return self._coder

    def flush(self) -> None:
        """What waits at any access point goes out with the next frames, full or not.

        An octet stream in frames of fixed length waits nevertheless: nothing could tell its end from idle data.
        """
        for master in self._masters.values():
            for source in master.sources():
                source.flush()

    def ready_ns(self, now_ns: int) -> int | None:
        """When something that a rate limit holds back may go; None where nothing is held back."""
        times = (master.ready_ns(now_ns) for master in self._masters.values())
        return min((instant for instant in times if instant is not None), default=None)

    # -- COP-1 ---------------------------------------------------------------------------------------------------------

    def handle_operational_control_field(self, octets: Octets, *, now_ns: int) -> None:
        """The OCF of a frame that came down; each FOP-1 takes those that are its own."""
        for _, _, control in self._controls():
            control.handle_operational_control_field(octets, now_ns=now_ns)

    def poll_timeout(self) -> int | None:
        """When `handle_timeout` is due; None while no timer runs."""
        times = (control.poll_timeout() for _, _, control in self._controls())
        return min((instant for instant in times if instant is not None), default=None)

    def handle_timeout(self, now_ns: int) -> None:
        """The instant that `poll_timeout` named has come; too early a call does nothing."""
        for _, _, control in self._controls():
            control.handle_timeout(now_ns)

    def poll_event(self) -> ChannelEvent | None:
        """What COP-1 wants the user to know next, or None."""
        for spacecraft_id, virtual_channel_id, control in self._controls():
            event = control.poll_event()
            if event is not None:
                return ChannelEvent(spacecraft_id, virtual_channel_id, event)
        return None

    # -- within --------------------------------------------------------------------------------------------------------

    def _next(self, now_ns: int, complete: bool) -> SentFrame | None:
        while True:
            ready = [key for key, master in self._masters.items() if master.is_ready(now_ns, complete)]
            chosen = self._turns.choose(ready)
            if chosen is None:
                return None
            frame = self._masters[chosen].next_frame(now_ns, complete)
            if frame is not None:
                return frame

    def _only_idle_data(self) -> SentFrame:
        for master in self._masters.values():
            if master.frames is None:
                return master.only_idle_data()
        raise ProtocolError("no master channel whose frames are made here: nobody can send Only Idle Data frames")

    def _master(self, spacecraft_id: int) -> MasterNode:
        master = self._masters.get(spacecraft_id)
        if master is not None:
            return master
        if self._channel.master_channels:
            raise ConfigurationError(f"spacecraft {spacecraft_id} is not among master_channels (managed)")
        most = (
            256 if self._channel.frame_type == "AOS" and self._channel.issue < 5 else _IDS[self._channel.frame_type]
        ) - 1
        if not isinstance(spacecraft_id, int) or not 0 <= spacecraft_id <= most:
            raise ConfigurationError(f"spacecraft_id is {spacecraft_id!r}, not 0 to {most}")
        return self._add(MasterChannel(spacecraft_id=spacecraft_id))

    def _add(self, parameters: MasterChannel) -> MasterNode:
        node = _MASTERS[self._channel.frame_type](self._link, parameters)
        masters = {**self._masters, parameters.spacecraft_id: node}
        if self._channel.multiplexing != "polling" or len(masters) == len(self._channel.master_channels):
            sharing = {key: master.parameters for key, master in masters.items()}
            self._turns = turns_of(self._channel, sharing, "physical channel: spacecraft")
        self._masters = masters
        return node

    def _controls(self) -> list[tuple[int, int, SequenceControl]]:
        return [
            (key, virtual_channel_id, channel.control)
            for key, master in self._masters.items()
            for virtual_channel_id, channel in master.channels.items()
            if isinstance(channel, MapChannel) and channel.control is not None
        ]

    def _require(self, kinds: str | tuple[str, ...], service: str) -> None:
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        if self._channel.frame_type not in kinds:
            raise ConfigurationError(f"{service} is a service of {' and '.join(kinds)} frames only")

    def _map_id(self, map_id: int | None) -> int | None:
        if map_id is None and self._channel.frame_type == "USLP":
            raise ConfigurationError("USLP: services are those of a MAP, so name a map_id [CCSDS 732.1-B-3 §4.1.2.5]")
        return map_id

    def _refuse_maps(self, map_id: int | None, sequence_controlled: bool | None) -> None:
        if map_id is not None or sequence_controlled is not None:
            raise ConfigurationError(f"{self._channel.frame_type} frames have no MAPs and one service only")


def _rules(node: TmChannel | AosChannel) -> PacketRules:
    """Which packets a virtual channel takes."""
    own = node.parameters
    return PacketRules(f"{node.name}, packets", own.valid_packet_versions, own.maximum_packet_octets)
