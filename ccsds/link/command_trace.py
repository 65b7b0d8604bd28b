"""What becomes of commands, event by event: structs in Python, one JSON object per line in a file.

The names and meanings of the fields are stable: a reader passes over fields and kinds that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from ccsds.errors import DecodeError

__all__ = [
    "FINAL_STEPS",
    "AlertRaised",
    "ClcwChanged",
    "CommandStep",
    "DirectiveStep",
    "Step",
    "TraceEvent",
    "trace_from_lines",
    "trace_line",
]

Step = Literal["accepted", "radiated", "acknowledged", "refused", "unconfirmed", "withdrawn"]
FINAL_STEPS: frozenset[str] = frozenset({"acknowledged", "refused", "unconfirmed", "withdrawn"})


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """time_ns: the instant that was given to the session, in nanoseconds."""

    time_ns: int
    spacecraft_id: int
    virtual_channel_id: int


class CommandStep(_Event, frozen=True, kw_only=True, tag="command", omit_defaults=True):
    """One command got further.

    command: its number, counted from 1 in each session.  mode: AD (sequence-controlled) or BD (expedited).
    step: accepted: taken into the queue of its channel.  radiated: the CLTU that ends it was handed to the port.
        acknowledged: FARM-1 has all of it (AD).  refused: FOP-1 did not take it, it was never sent.  unconfirmed:
        nobody knows whether it arrived, and it is not sent again.  withdrawn: the session ended before it was sent.
    octets: accepted: of the unit.  name: accepted: what the user called it.
    cltu: radiated: number of the CLTU, counted from 1.  transmission: radiated: 1, then 2 and on for retransmissions.
    repetitions: radiated: times that the CLTU was sent in this transmission (managed).
    alert, reason: refused and unconfirmed: the alert that ended the service, where there was one.
    """

    command: int
    mode: Literal["AD", "BD"]
    step: Step
    map_id: int | None = None
    name: str = ""
    octets: int | None = None
    cltu: int | None = None
    transmission: int | None = None
    repetitions: int = 1
    alert: str | None = None
    reason: str | None = None


class AlertRaised(_Event, frozen=True, kw_only=True, tag="alert", omit_defaults=True):
    """FOP-1 ended AD service.  alert: the code of table 4-4; reason in words; event, state: the cell of table 5-1."""

    alert: str
    reason: str
    event: str
    state: str


class DirectiveStep(_Event, frozen=True, kw_only=True, tag="directive", omit_defaults=True):
    """A directive, or a control command that one sent, got further.

    step: given, accept, reject, positive confirm, negative confirm, radiated, or suspended.
    """

    directive: str
    step: str
    cltu: int | None = None


class ClcwChanged(_Event, frozen=True, kw_only=True, tag="clcw", omit_defaults=False):
    """The CLCW of a virtual channel is another than before.  ours: it is of a channel that this session commands."""

    report_value: int
    lockout_flag: int
    wait_flag: int
    retransmit_flag: int
    farm_b_counter: int
    no_rf_available_flag: int
    no_bit_lock_flag: int
    ours: bool


TraceEvent = CommandStep | AlertRaised | DirectiveStep | ClcwChanged
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[TraceEvent] = msgspec.json.Decoder(TraceEvent)
_KINDS = frozenset({"command", "alert", "directive", "clcw"})


class _Kind(msgspec.Struct):
    kind: str


def trace_line(event: TraceEvent) -> str:
    """The event as one line of JSON, without the end of the line."""
    return _encoder.encode(event).decode()


def trace_from_lines(lines: Iterable[str]) -> Iterator[TraceEvent]:
    """The events of a kept trace.  Empty lines and kinds that are not known are passed over.

    Raises: DecodeError: a line that is no event; its octet offset is that of the line.
    """
    offset = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                if msgspec.json.decode(line, type=_Kind).kind in _KINDS:
                    yield _decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise DecodeError(
                    f"line {number}: {error}", unit="command trace", octet_offset=offset, clause="docs/commanding.md"
                ) from None
        offset += len(line.encode())
