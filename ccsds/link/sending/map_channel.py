"""Virtual channels with MAPs and two services, sequence-controlled and expedited (TC, USLP).

Sources: CCSDS 232.0-B-4, 4.3.3 to 4.3.5; 732.1-B-3, 4.2.5 and 4.2.6.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

from ccsds.link.managed_parameters import Map, VirtualChannel
from ccsds.link.sending.channel import ChannelNode, Link, SentFrame, WholeFrames, limit_of, turns_of
from ccsds.link.sending.sequence_control import SequenceControl, fop1_parameters
from ccsds.link.sending.source import Content, Source
from ccsds.procedures.cop1 import FrameType
from ccsds.procedures.fop1_primitives import ServiceType
from ccsds.procedures.multiplexing import AbsolutePriority, RateLimit, Turns

__all__ = ["MapChannel", "Service"]

_SERVICES = {FrameType.AD: ServiceType.AD, FrameType.BD: ServiceType.BD}


class Service(NamedTuple):
    """One queue of a MAP; of what waits on one MAP, truncated frames go first, then expedited ones."""

    frame_type: FrameType
    is_truncated: bool = False


_ORDER = (Service(FrameType.BD, True), Service(FrameType.BD), Service(FrameType.AD))


class MapChannel(ChannelNode):
    """One virtual channel of TC or USLP."""

    def __init__(self, link: Link, master: Any, parameters: VirtualChannel) -> None:
        super().__init__(link, master, parameters)
        self._maps: dict[int, dict[Service, Source]] = {}
        self._parameters: dict[int, Map] = {}
        self._limits: dict[int, RateLimit | None] = {}
        self._turns: Turns[int] = AbsolutePriority({})
        self.control: SequenceControl | None = None
        if parameters.cop is not None and parameters.cop_1 is not None:
            self.control = SequenceControl(fop1_parameters(parameters), self._abandon)

    def require_control(self) -> SequenceControl:
        """The FOP-1 of this channel.  Raises: ConfigurationError: it has none, or cop_1 is absent."""
        if self.control is None:
            fop1_parameters(self.parameters)
        assert self.control is not None
        return self.control

    def frame_type_of(self, sequence_controlled: bool | None) -> FrameType:
        """AD or BD; where the user leaves it open, AD if there is a COP."""
        if sequence_controlled is None:
            sequence_controlled = self.parameters.cop is not None
        if self.parameters.cop is not None:
            self.require_control()
        return FrameType.AD if sequence_controlled else FrameType.BD

    def add_source(self, map_id: int, service: Service, source: Source) -> Source:
        """The queue of one MAP and service; the one that is there already, where there is one."""
        self.refuse_mixture(self.frames)
        queues = self._maps.get(map_id)
        if queues is None:
            parameters = self.parameters.find_map(map_id)
            known = {**self._parameters, map_id: parameters}
            self._turns = (
                turns_of(self.parameters, known, f"{self.name}: MAP")
                if self.has_maps
                else AbsolutePriority({map_id: 0})
            )
            self._parameters, queues = known, self._maps.setdefault(map_id, {})
            self._limits[map_id] = limit_of(parameters)
        return queues.setdefault(service, source)

    @property
    @abstractmethod
    def has_maps(self) -> bool:
        """Whether there are MAPs at all."""

    @abstractmethod
    def encode(self, frame_type: FrameType, map_id: int, octets: bytes, number: int | None) -> bytes:
        """A frame with this data field; `number`: its sequence number, where FOP-1 has given one."""

    def encode_truncated(self, map_id: int, octets: bytes) -> bytes:
        """A truncated frame with this data field."""
        raise NotImplementedError(f"{self.name}: there are no truncated frames")

    @abstractmethod
    def finish(self, frame: Any) -> bytes:
        """The octets of a frame made elsewhere."""

    def sources(self) -> Iterable[Source]:
        """The queues of its access points."""
        if self.frames is not None:
            yield self.frames
        for queues in self._maps.values():
            yield from queues.values()

    def open_frames(self, queue_octets: int) -> WholeFrames:
        """The queue of the VC frame service."""
        if self.frames is None:
            self.refuse_mixture(self._maps or self.control)
            self.frames = WholeFrames(
                f"{self.name}, frames",
                queue_octets,
                lambda octets: self.master.decode_frame(octets, self),
                self.finish,
            )
        return self.frames

    def _ready_service(self, map_id: int, now_ns: int, complete: bool) -> Service | None:
        limit = self._limits[map_id]
        if limit is not None and not limit.permits(now_ns):
            return None
        for service in _ORDER:
            source = self._maps[map_id].get(service)
            if source is not None and source.is_ready(complete) and self._takes(service):
                return service
        return None

    def _takes(self, service: Service) -> bool:
        return self.control is None or service.is_truncated or self.control.takes(_SERVICES[service.frame_type])

    def _has_content(self, now_ns: int, complete: bool) -> bool:
        if self.frames is not None:
            return self.frames.is_ready(complete)
        if self.control is not None and self.control.has_requests:
            return True
        return any(self._ready_service(map_id, now_ns, complete) is not None for map_id in self._maps)

    def _take(self, now_ns: int, complete: bool) -> SentFrame | None:
        if self.frames is not None:
            content = self.frames.take(complete)
            return self._sent(content.octets, content.units, None)
        self.require_fields()
        if self.control is not None and self.control.has_requests:
            return self._requested(now_ns)
        ready = {map_id: self._ready_service(map_id, now_ns, complete) for map_id in self._maps}
        chosen = self._turns.choose([map_id for map_id, service in ready.items() if service is not None])
        service = None if chosen is None else ready[chosen]
        if chosen is None or service is None:
            return None
        content = self._maps[chosen][service].take(complete)
        limit = self._limits[chosen]
        if limit is not None:
            limit.charge(len(content.octets), now_ns)
        return self._made(chosen, service, content, now_ns)

    def _made(self, map_id: int, service: Service, content: Content, now_ns: int) -> SentFrame | None:
        frame_type = service.frame_type
        if service.is_truncated:
            return self._sent(self.encode_truncated(map_id, content.octets), content.units, frame_type)
        if self.control is None:
            return self._sent(self.encode(frame_type, map_id, content.octets, None), content.units, frame_type)
        self.control.transfer(content.octets, _SERVICES[frame_type], map_id, content.units, now_ns=now_ns)
        return self._requested(now_ns)

    def _requested(self, now_ns: int) -> SentFrame | None:
        assert self.control is not None
        request = self.control.next_request(now_ns)
        if request is None:
            return None
        frame = request.frame
        number = frame.frame_sequence_number if frame.frame_type is FrameType.AD else None
        octets = self.encode(frame.frame_type, request.map_id, frame.octets, number)
        return self._sent(octets, request.units, frame.frame_type)

    def _sent(self, octets: bytes, units: tuple[int, ...], frame_type: FrameType | None) -> SentFrame:
        return SentFrame(octets, self.master.spacecraft_id, self.virtual_channel_id, units, False, frame_type)

    def require_fields(self) -> None:
        """Raise ProtocolError where a field that every frame has was never given: before anything is taken."""

    def ready_ns(self, now_ns: int) -> int | None:
        """When something held back by a rate limit may go; None where nothing is."""
        held = super().ready_ns(now_ns)
        if held is not None:
            return held
        times = [
            limit.ready_ns(now_ns)
            for map_id, limit in self._limits.items()
            if limit is not None
            and not limit.permits(now_ns)
            and any(source.is_ready(True) for source in self._maps[map_id].values())
        ]
        return min(times, default=None)

    def _abandon(self) -> tuple[int, ...]:
        """After an alert: units that have gone in part, sequence-controlled, cannot be completed."""
        service = Service(FrameType.AD)
        return tuple(
            unit_id for queues in self._maps.values() if service in queues for unit_id in queues[service].abandon()
        )
