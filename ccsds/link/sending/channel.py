"""Virtual channels and master channels as nodes that give frames, and take turns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ccsds.errors import ConfigurationError, DecodeError, EncodeError, ProtocolError
from ccsds.link.managed_parameters import MasterChannel, PhysicalChannel, VirtualChannel, _Sharing
from ccsds.link.sending.fields import FieldSource, InsertZone
from ccsds.link.sending.source import Content, Source, UnitQueue
from ccsds.procedures.cop1 import FrameType
from ccsds.procedures.multiplexing import AbsolutePriority, PollingVector, RateLimit, Turns, WeightedRoundRobin

__all__ = ["ChannelNode", "Link", "MasterNode", "SentFrame", "WholeFrames", "turns_of"]

OPERATIONAL_CONTROL_FIELD_OCTETS = 4


class SentFrame(NamedTuple):
    """One transfer frame on its way.

    units: identifiers, as `send` returned them, of the units whose last octet it carries.
    frame_type: AD, BD or BC of TC and USLP frames.
    """

    octets: bytes
    spacecraft_id: int
    virtual_channel_id: int
    units: tuple[int, ...] = ()
    is_only_idle_data: bool = False
    frame_type: FrameType | None = None


class Link:
    """What all channels of one physical channel share."""

    def __init__(self, channel: PhysicalChannel) -> None:
        self.channel = channel
        self.insert_zone = InsertZone(channel.insert_zone_octets) if channel.insert_zone_octets else None
        self.check_octets = channel.frame_error_control_octets if channel.frame_error_control else 0
        self._unit_id = 0

    def new_unit_id(self) -> int:
        """The identifier of one more unit."""
        return self.new_unit_ids(1)

    def new_unit_ids(self, units: int) -> int:
        """The first of the identifiers of so many more units."""
        first = self._unit_id + 1
        self._unit_id += units
        return first


def turns_of(
    node: PhysicalChannel | MasterChannel | VirtualChannel, children: Mapping[int, _Sharing], name: str
) -> Turns[int]:
    """The scheme by which the channels of a node take turns."""
    if node.multiplexing == "polling":
        unlisted = set(children) - set(node.polling)
        if unlisted:
            raise ConfigurationError(f"{name}: {min(unlisted)} is not in the polling vector, and never has a turn")
        return PollingVector(node.polling)
    if node.multiplexing == "weighted":
        return WeightedRoundRobin({key: child.weight for key, child in children.items()})
    return AbsolutePriority({key: child.priority for key, child in children.items()})


def virtual_channel_of(channel: PhysicalChannel, spacecraft_id: int, virtual_channel_id: int) -> VirtualChannel:
    """The parameters of a virtual channel, listed or by the defaults.

    Raises: ConfigurationError: frames of this kind have no such virtual channel.
    """
    most = 7 if channel.frame_type == "TM" else 63
    if not isinstance(virtual_channel_id, int) or not 0 <= virtual_channel_id <= most:
        raise ConfigurationError(f"{channel.frame_type}: virtual_channel_id is {virtual_channel_id!r}, not 0 to {most}")
    return channel.find(spacecraft_id, virtual_channel_id)[1]


def limit_of(parameters: _Sharing) -> RateLimit | None:
    """The rate limit of a channel, where it has one."""
    rate = parameters.maximum_bits_per_second
    return None if rate is None else RateLimit(rate)


class WholeFrames(UnitQueue):
    """Frames that were made elsewhere (VC frame and MC frame service).

    Args: decode: octets to a frame; raises DecodeError.  finish: its octets, with what is made here put in.
    """

    def __init__(
        self, name: str, queue_octets: int, decode: Callable[[bytes], Any], finish: Callable[[Any], bytes]
    ) -> None:
        super().__init__(name, queue_octets)
        self._decode = decode
        self._finish = finish
        self._frames: deque[Any] = deque()

    def push(self, octets: bytes, unit_id: int) -> None:
        """One more frame.  Raises: EncodeError: no frame of this channel.  QueueFullError."""
        try:
            frame = self._decode(octets)
        except DecodeError as error:
            raise EncodeError(f"{self.name}: {error}") from None
        super().push(octets, unit_id)
        self._frames.append(frame)

    def take(self, complete: bool) -> Content:
        """The next frame."""
        octets = self._finish(self._frames[0])
        frame = self._frames.popleft()
        unit_id, given = self._units.popleft()
        self._octets -= len(given)
        return Content(octets, (unit_id,), (frame.virtual_channel_id, 0, 0, 0))


class ChannelNode(ABC):
    """One virtual channel."""

    def __init__(self, link: Link, master: Any, parameters: VirtualChannel) -> None:
        self.link = link
        self.master = master
        self.parameters = parameters
        self.name = (
            f"{link.channel.frame_type} spacecraft {master.parameters.spacecraft_id}, "
            f"virtual channel {parameters.virtual_channel_id}"
        )
        self.limit = limit_of(parameters)
        self.frames: WholeFrames | None = None
        self.own_control_field = FieldSource(
            f"{self.name}: operational control field", OPERATIONAL_CONTROL_FIELD_OCTETS
        )

    @property
    def virtual_channel_id(self) -> int:
        """Of this channel."""
        return self.parameters.virtual_channel_id

    @property
    def has_control_field(self) -> bool:
        """Whether its frames have an OCF."""
        return self.parameters.has_operational_control_field(self.master.parameters)

    def control_field(self) -> bytes | None:
        """The OCF of the next frame: what is given for the virtual channel, or else for the master channel."""
        if not self.has_control_field:
            return None
        own = self.own_control_field
        return (own if own.is_given else self.master.own_control_field).value()

    @abstractmethod
    def sources(self) -> Iterable[Source]:
        """The queues of its access points."""

    @abstractmethod
    def open_frames(self, queue_octets: int) -> WholeFrames:
        """The queue of the VC frame service."""

    @abstractmethod
    def _has_content(self, now_ns: int, complete: bool) -> bool:
        """Whether something can be sent, the rate limit of the channel aside."""

    @abstractmethod
    def _take(self, now_ns: int, complete: bool) -> SentFrame | None:
        """The next frame; None where it turned out that there is none."""

    def is_ready(self, now_ns: int, complete: bool) -> bool:
        """Whether `next_frame` gives one."""
        return (self.limit is None or self.limit.permits(now_ns)) and self._has_content(now_ns, complete)

    def next_frame(self, now_ns: int, complete: bool) -> SentFrame | None:
        """The next frame."""
        frame = self._take(now_ns, complete)
        if frame is not None and self.limit is not None:
            self.limit.charge(len(frame.octets), now_ns)
        return frame

    def ready_ns(self, now_ns: int) -> int | None:
        """When something held back by a rate limit may go; None where nothing is."""
        if self.limit is None or self.limit.permits(now_ns) or not self._has_content(now_ns, True):
            return None
        return self.limit.ready_ns(now_ns)

    def refuse_mixture(self, other: object) -> None:
        """Raise ConfigurationError where frames and anything else would share the channel."""
        if other is not None:
            raise ConfigurationError(
                f"{self.name}: frames made elsewhere and other services cannot share a virtual channel"
            )

    def require_service(self, service: str) -> None:
        """Raise ConfigurationError where the managed parameters say that the channel carries something else."""
        if self.parameters.service != service:
            raise ConfigurationError(f"{self.name}: its service is {self.parameters.service} (managed), not {service}")


class MasterNode(ABC):
    """One master channel: its virtual channels in turn, or frames made elsewhere."""

    def __init__(self, link: Link, parameters: MasterChannel) -> None:
        self.link = link
        self.parameters = parameters
        self.name = f"{link.channel.frame_type} spacecraft {parameters.spacecraft_id}"
        self.limit = limit_of(parameters)
        self.channels: dict[int, ChannelNode] = {}
        """those with a turn"""
        self._nodes: dict[int, ChannelNode] = {}
        self.frames: WholeFrames | None = None
        self.own_control_field = FieldSource(
            f"{self.name}: operational control field", OPERATIONAL_CONTROL_FIELD_OCTETS
        )
        self._turns: Turns[int] = AbsolutePriority({})

    @property
    def spacecraft_id(self) -> int:
        """Of this channel."""
        return self.parameters.spacecraft_id

    @abstractmethod
    def _make_channel(self, parameters: VirtualChannel) -> ChannelNode:
        """The node of a virtual channel."""

    @abstractmethod
    def decode_frame(self, octets: bytes, channel: ChannelNode | None) -> Any:
        """A frame made elsewhere; `channel`: it must be of this one.  Raises: DecodeError, EncodeError."""

    @abstractmethod
    def finish_master_frame(self, frame: Any) -> bytes:
        """The octets of a frame of the MC frame service, with what belongs to the physical channel."""

    def only_idle_data(self) -> SentFrame:
        """A frame that carries nothing.  Raises: ProtocolError: frames of this kind have no such."""
        raise ProtocolError(f"{self.name}: there are no Only Idle Data frames of variable length")

    def node(self, virtual_channel_id: int) -> Any:
        """A virtual channel, made when first asked for; with or without a turn."""
        if self.frames is not None:
            raise ConfigurationError(f"{self.name}: frames made elsewhere have the whole master channel")
        node = self._nodes.get(virtual_channel_id)
        if node is None:
            node = self._make_channel(virtual_channel_of(self.link.channel, self.spacecraft_id, virtual_channel_id))
            self._nodes[virtual_channel_id] = node
        return node

    def find(self, virtual_channel_id: int) -> Any:
        """A virtual channel that has turns from now on."""
        node = self.node(virtual_channel_id)
        if virtual_channel_id not in self.channels:
            channels = {**self.channels, virtual_channel_id: node}
            sharing = {key: channel.parameters for key, channel in channels.items()}
            self._turns = turns_of(self.parameters, sharing, f"{self.name}: virtual channel")
            self.channels = channels
        return node

    def open_frames(self, queue_octets: int) -> WholeFrames:
        """The queue of the MC frame service."""
        if self.frames is None:
            if self._nodes:
                raise ConfigurationError(f"{self.name}: virtual channels are in use; no frames of the master channel")
            self.frames = WholeFrames(
                f"{self.name}, frames",
                queue_octets,
                lambda octets: self.decode_frame(octets, None),
                self.finish_master_frame,
            )
        return self.frames

    def is_ready(self, now_ns: int, complete: bool) -> bool:
        """Whether `next_frame` gives one."""
        if self.limit is not None and not self.limit.permits(now_ns):
            return False
        if self.frames is not None:
            return self.frames.is_ready(complete)
        return any(channel.is_ready(now_ns, complete) for channel in self.channels.values())

    def next_frame(self, now_ns: int, complete: bool) -> SentFrame | None:
        """The next frame of the virtual channel whose turn it is."""
        frame = self._next(now_ns, complete)
        if frame is not None and self.limit is not None:
            self.limit.charge(len(frame.octets), now_ns)
        return frame

    def _next(self, now_ns: int, complete: bool) -> SentFrame | None:
        if self.frames is not None:
            content = self.frames.take(complete)
            return SentFrame(content.octets, self.spacecraft_id, content.status[0], content.units)
        ready = [key for key, channel in self.channels.items() if channel.is_ready(now_ns, complete)]
        chosen = self._turns.choose(ready)
        return None if chosen is None else self.channels[chosen].next_frame(now_ns, complete)

    def ready_ns(self, now_ns: int) -> int | None:
        """When something held back by a rate limit may go; None where nothing is."""
        if self.limit is not None and not self.limit.permits(now_ns):
            return self.limit.ready_ns(now_ns)
        times = (channel.ready_ns(now_ns) for channel in self.channels.values())
        return min((instant for instant in times if instant is not None), default=None)

    def sources(self) -> Iterable[Source]:
        """The queues of all access points."""
        if self.frames is not None:
            yield self.frames
        for channel in self.channels.values():
            yield from channel.sources()


class SingleSourceChannel(ChannelNode):
    """A virtual channel with one access point (TM, AOS)."""

    def __init__(self, link: Link, master: Any, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        self.source: Source | None = None
        self.frame_count = 0

    def sources(self) -> Iterable[Source]:
        """The queue of its access point."""
        return () if self.source is None else (self.source,)

    def open_frames(self, queue_octets: int) -> WholeFrames:
        """The queue of the VC frame service."""
        if self.frames is None:
            self.refuse_mixture(self.source)
            self.frames = WholeFrames(
                f"{self.name}, frames",
                queue_octets,
                lambda octets: self.master.decode_frame(octets, self),
                self._finish,
            )
            self.source = self.frames
        return self.frames

    @abstractmethod
    def _finish(self, frame: Any) -> bytes:
        """The octets of a frame made elsewhere, with what is made here."""

    @abstractmethod
    def encode(self, content: Content) -> bytes:
        """The next frame with this data field; counts."""

    def next_count(self) -> int:
        """The frame count of the next frame; counts on, unless it is frozen."""
        count = self.frame_count
        if not self.parameters.frame_count_frozen:
            self.frame_count = count + 1
        return count

    def count_on(self, frames: int) -> None:
        """So many frames of this channel were made elsewhere in one go."""
        if not self.parameters.frame_count_frozen:
            self.frame_count += frames

    def _has_content(self, now_ns: int, complete: bool) -> bool:
        return self.source is not None and self.source.is_ready(complete)

    def _take(self, now_ns: int, complete: bool) -> SentFrame | None:
        assert self.source is not None
        if self.frames is not None:
            content = self.frames.take(complete)
            octets = content.octets
        else:
            self.require_fields()
            content = self.source.take(complete)
            octets = self.encode(content)
        return SentFrame(octets, self.master.spacecraft_id, self.virtual_channel_id, content.units)

    def require_fields(self) -> None:
        """Raise ProtocolError where a field that every frame has was never given: before anything is taken."""
        if self.has_control_field and not (self.own_control_field.is_given or self.master.own_control_field.is_given):
            self.own_control_field.value()
