"""FOP-1 between the queues of a virtual channel and its frames.  Source: CCSDS 232.1-B-2, section 5."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ccsds.errors import ConfigurationError
from ccsds.layout import Octets
from ccsds.link.managed_parameters import Cop1, VirtualChannel
from ccsds.procedures.cop1 import Cop1Frame, FrameType
from ccsds.procedures.fop1 import Fop1, Fop1Parameters
from ccsds.procedures.fop1_primitives import (
    Abort,
    Alert,
    Directive,
    DirectiveNotification,
    Fop1State,
    Notification,
    ServiceType,
    Suspended,
    TimeoutType,
    TransferNotification,
)

__all__ = ["SequenceControl", "UnitNotification", "fop1_parameters"]

_SERVING = (Fop1State.ACTIVE, Fop1State.RETRANSMIT_WITHOUT_WAIT, Fop1State.RETRANSMIT_WITH_WAIT)
_MODULUS = 256


@dataclass(frozen=True, slots=True)
class UnitNotification:
    """How a unit fares: that of the frame which carries its last octet.

    accept: it was passed on.  positive confirm: FARM-1 has all of it.  negative confirm, reject: nobody knows, or it
    was never sent; it will not be sent again.
    """

    unit_id: int
    notification: Notification


class FrameRequest(NamedTuple):
    """A frame that FOP-1 wants sent, its MAP, and the units that end in it."""

    frame: Cop1Frame
    map_id: int
    units: tuple[int, ...]
    request_id: int


def fop1_parameters(channel: VirtualChannel) -> Fop1Parameters:
    """The managed parameters of FOP-1 from those of a virtual channel.  Raises: ConfigurationError: cop_1 is absent."""
    cop_1 = channel.cop_1
    if not isinstance(cop_1, Cop1):
        raise ConfigurationError(f"virtual channel {channel.virtual_channel_id}: to send with COP-1 needs cop_1")
    return Fop1Parameters(
        virtual_channel_id=channel.virtual_channel_id,
        sliding_window_width=cop_1.sliding_window_width,
        t1_initial_ns=cop_1.t1_initial_ms * 1_000_000,
        transmission_limit=cop_1.transmission_limit,
        timeout_type=TimeoutType.ALERT if cop_1.timeout_type == "alert" else TimeoutType.SUSPEND,
        farm_positive_window_width=cop_1.farm_sliding_window_width // 2,
    )


class SequenceControl:
    """The FOP-1 of one virtual channel at work.

    Attributes: fop, to look at; whoever calls its methods does so past this.
    """

    def __init__(self, parameters: Fop1Parameters, abandon: Callable[[], tuple[int, ...]]) -> None:
        self.fop = Fop1(parameters)
        self._abandon = abandon
        """drops what has gone in part on the sequence-controlled queues; gives its units"""
        self._requests: deque[FrameRequest] = deque()
        self._transferred: dict[int, tuple[int, tuple[int, ...]]] = {}
        """by request: MAP, and units"""
        self._events: deque[UnitNotification | DirectiveNotification | Alert | Suspended] = deque()

    # -- what the user asks and what arrives ---------------------------------------------------------------------------

    def direct(self, directive: Directive, *, now_ns: int) -> int:
        """A directive to FOP-1, InitiateAdWithUnlock for instance; the answer carries the identifier returned."""
        request_id = self.fop.direct(directive, now_ns=now_ns)
        self._collect(now_ns)
        return request_id

    def handle_operational_control_field(self, octets: Octets, *, now_ns: int) -> None:
        """The OCF of a frame received; one that is no CLCW of this channel is ignored."""
        self.fop.handle_operational_control_field(octets, now_ns=now_ns)
        self._collect(now_ns)

    def handle_timeout(self, now_ns: int) -> None:
        """The instant that `poll_timeout` named has come; too early a call does nothing."""
        self.fop.handle_timeout(now_ns)
        self._collect(now_ns)

    def poll_timeout(self) -> int | None:
        """When `handle_timeout` is due; None while no timer runs."""
        return self.fop.poll_timeout()

    def poll_event(self) -> UnitNotification | DirectiveNotification | Alert | Suspended | None:
        """What the user is to know next, or None."""
        return self._events.popleft() if self._events else None

    # -- towards the frames --------------------------------------------------------------------------------------------

    @property
    def has_requests(self) -> bool:
        """Whether frames wait to be sent."""
        return bool(self._requests)

    def takes(self, service: ServiceType) -> bool:
        """Whether an FDU would be sent at once: in AD service, the window open."""
        if service is ServiceType.BD:
            return not self._requests
        fop = self.fop
        outstanding = (fop.transmitter_sequence_number - fop.expected_acknowledgement) % _MODULUS
        return (
            not self._requests
            and fop.state in _SERVING
            and fop.is_wait_queue_free
            and outstanding < fop.sliding_window_width
        )

    def transfer(self, fdu: bytes, service: ServiceType, map_id: int, units: tuple[int, ...], *, now_ns: int) -> None:
        """Hand over the next FDU."""
        request_id = self.fop.transfer(fdu, service=service, now_ns=now_ns)
        self._transferred[request_id] = map_id, units
        self._collect(now_ns)

    def next_request(self, now_ns: int) -> FrameRequest | None:
        """The next frame; it counts as accepted by the lower procedures."""
        if not self._requests:
            return None
        request = self._requests.popleft()
        frame_type = request.frame.frame_type
        if frame_type is FrameType.BD:  # no more answers to wait for, but a second accept
            self._transferred.pop(request.request_id, None)
        self.fop.handle_lower_layer_response(frame_type, accepted=True, now_ns=now_ns)
        self._collect(now_ns)
        return request

    def _collect(self, now_ns: int) -> None:
        """What FOP-1 has for us, in both directions."""
        while True:
            event, transmission = self.fop.poll_event(), self.fop.poll_transmit()
            if event is None and transmission is None:
                return
            if isinstance(event, TransferNotification):
                self._hear(event)
            elif event is not None:
                self._events.append(event)
                if isinstance(event, Alert):
                    self._notify(self._abandon(), Notification.NEGATIVE_CONFIRM)
            if isinstance(transmission, Abort):
                self._drop(now_ns)
            elif transmission is not None:
                map_id, units = self._transferred.get(transmission.request_id, (0, ()))
                self._requests.append(FrameRequest(transmission.frame, map_id, units, transmission.request_id))

    def _drop(self, now_ns: int) -> None:
        """Frames of types AD and BC that are not on their way will come again; they are accepted all the same."""
        dropped = [request for request in self._requests if request.frame.frame_type is not FrameType.BD]
        self._requests = deque(r for r in self._requests if r.frame.frame_type is FrameType.BD)
        for request in dropped:
            self.fop.handle_lower_layer_response(request.frame.frame_type, accepted=True, now_ns=now_ns)

    def _hear(self, event: TransferNotification) -> None:
        _, units = self._transferred.get(event.request_id, (0, ()))
        if event.notification is not Notification.ACCEPT:
            self._transferred.pop(event.request_id, None)
        self._notify(units, event.notification)

    def _notify(self, units: tuple[int, ...], notification: Notification) -> None:
        self._events.extend(UnitNotification(unit_id, notification) for unit_id in units)
