"""Where the simulated kernel side is known to do otherwise than the real module did.

A row goes as soon as the simulation does as recorded: its test then fails, because it passes.
"""

from __future__ import annotations

from collections.abc import Mapping

LAYOUT = "bound/*/at"
"""Not compared on the simulation: in which order a pipe's rings lie in their region.  Users take it from the record."""

_MONITORS = "monitors are not simulated"
_RINGS = "flooded frames go to the receiver's ring of the same number, in the module to ring 0"
_TIME = "a receive sync that meets a ring error leaves the time stamp as it was; the module's moves it"
_BELIEVED = _TIME + "; and the sender gets the slots back that its head has passed"
_MISTAKES = ("head past the ring", "head past tail", "cur past tail")
_INITIAL = "offsets arrive as sent; in the module never below the initial one"
_RESERVED = "the module leaves 1 in nr_reserved of a request whose body it has not looked at"
_LINES = "VALE copies whole lines of 64 octets, so that the receiver's offset depends on the sender's"

DEPARTURES: Mapping[str, str] = {
    "control: list": "by name, a port that is not there is ENOENT; in the module port 255",
    "control: attaching a persistent port": "a device that is not there is ENXIO; in the module EINVAL",
    "control: information": "questions about the pools of a region that is not there give ENXIO; in the module EINVAL",
    **{f"control: a monitor of a VALE port, {way}": _MONITORS for way in ("transmit", "receive", "both")},
    **{f"control: a monitor of a pipe, {way}": _MONITORS for way in ("transmit", "receive", "both")},
    "control: a monitor of a pipe, both, without a copy": _MONITORS,
    "devices: lengths that pass": "a frame of one octet more than MTU and header is dropped; a real veth lets it pass",
    "devices: a frame of more than one buffer": "the stack sends no frames longer than a buffer",
    **{f"devices: a monitor, flags {flags:#x}": _MONITORS for flags in (0x100, 0x200, 0x300)},
    "errors: header": _RESERVED,
    "errors: request types": _RESERVED,
    "errors: names": "a pipe under a VALE port that is not there is refused; the module makes the port",
    "errors: options": "an option of type 0 keeps its status; the module writes EINVAL there",
    "memory: VALE, wished tx_slots 5000, rx_slots 100000": "ring objects of 4096 slots are of another size",
    "memory: pipe, wished tx_slots 5000, rx_slots 100000": "ring objects of 4096 slots are of another size",
    "memory: offsets on a VALE, receiver with the option": _LINES,
    "memory: offsets on a VALE, receiver without the option": _LINES,
    "pipes: rings of one direction": "both rings are made; the module makes those that somebody has bound",
    "vale: flags on transmit": "the flag of a changed buffer stays on a sent slot; the module takes it",
    "vale: a port that leaves and returns": "frames to the address of a port that left are flooded; in the module lost",
    **{f"vale: ring error, receive {mistake}": _TIME for mistake in _MISTAKES},
    **{f"pipes: ring error, receive {mistake}, sync": _TIME for mistake in ("head past the ring", "cur past the ring")},
    "pipes: ring error, receive cur before head, poll": _TIME,
    "pipes: ring error, receive cur past tail, poll": _TIME,
    "pipes: ring error, receive cur past tail, sync": _TIME,
    "pipes: ring error, receive head past tail, sync": _BELIEVED,
    "pipes: ring error, receive cur before head, sync": _BELIEVED,
    "pipes: fragments": "the slots of a frame that is not complete are shown to the peer later; its tail waits in both",
    "memory: offsets on a pipe, receiver with the option": _INITIAL,
    "vale: 2 rings": _RINGS,
    "vale: 4 rings": _RINGS,
}
