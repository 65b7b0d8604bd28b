"""What `ccsds command` sends: packets of files, packets made from text or hex, frames; and its directives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import click

from ccsds.cli.problems import InputProblem
from ccsds.link.commanding import CommandSession
from ccsds.procedures.fop1_primitives import (
    Directive,
    InitiateAdWithClcwCheck,
    InitiateAdWithoutClcwCheck,
    InitiateAdWithSetVr,
    InitiateAdWithUnlock,
    ResumeAd,
    SetSlidingWindowWidth,
    SetT1Initial,
    SetTimeoutType,
    SetTransmissionLimit,
    SetVs,
    TerminateAd,
    TimeoutType,
)

__all__ = [
    "BEGIN",
    "DIRECTIVES",
    "UNLOCK",
    "Unit",
    "frames_of_files",
    "made_packets",
    "packets_of_files",
    "parse_directive",
]

BEGIN: Final = "initiate-ad"
UNLOCK: Final = "unlock"
_PLAIN: Final[dict[str, Directive]] = {
    "initiate-ad-without-clcw-check": InitiateAdWithoutClcwCheck(),
    "initiate-ad-with-clcw-check": InitiateAdWithClcwCheck(),
    "initiate-ad-with-unlock": InitiateAdWithUnlock(),
    "terminate-ad": TerminateAd(),
    "resume-ad": ResumeAd(),
}
_WITH_NUMBER: Final[dict[str, tuple[Callable[[int], Directive], int, int]]] = {
    "set-vr": (InitiateAdWithSetVr, 0, 255),
    "set-vs": (SetVs, 0, 255),
    "set-window": (SetSlidingWindowWidth, 1, 255),
    "set-t1-ms": (lambda ms: SetT1Initial(ms * 1_000_000), 1, 1 << 31),
    "set-limit": (SetTransmissionLimit, 1, 255),
    "set-timeout-type": (lambda number: SetTimeoutType(TimeoutType(number)), 0, 1),
}
DIRECTIVES: Final = (BEGIN, UNLOCK, *_PLAIN, *(f"{name}=" for name in _WITH_NUMBER))


class Unit(NamedTuple):
    """One thing to be sent, and what it is called in the trace."""

    octets: bytes
    name: str


def parse_directive(word: str) -> Directive | str:
    """A directive as the command line spells it; BEGIN and UNLOCK, which wait for a CLCW, stay as they are."""
    name, _, value = word.partition("=")
    if word in (BEGIN, UNLOCK):
        return word
    if word in _PLAIN:
        return _PLAIN[word]
    if name in _WITH_NUMBER:
        make, least, most = _WITH_NUMBER[name]
        if value.isdecimal() and len(value) < 12 and least <= int(value) <= most:
            return make(int(value))
        raise click.UsageError(f"--directive {name}=N: N is {least} to {most}, not {value or 'missing'}")
    from ccsds.cli.style import nearest

    near = nearest(name, [known.rstrip("=") for known in DIRECTIVES])
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(DIRECTIVES)}"
    raise click.UsageError(f"there is no directive {word!r}: {hint}")


def made_packets(
    texts: Sequence[str], hexes: Sequence[str], application_process_id: int, session: CommandSession
) -> list[Unit]:
    """Telecommand packets around these data fields, counted from the sequence number of the session's commands."""
    from ccsds.packets.space_packet import PacketType, SpacePacket

    units = []
    fields = [(text.encode(), text) for text in texts] + [(_octets(text), text) for text in hexes]
    for count, (field, name) in enumerate(fields, len(session.commands)):
        packet = SpacePacket(
            application_process_id=application_process_id,
            packet_type=PacketType.TELECOMMAND,
            packet_sequence_count=count % 16384,
            packet_data_field=field,
        )
        units.append(Unit(packet.encode(), name))
    return units


def packets_of_files(names: Sequence[str]) -> list[Unit]:
    """The packets that lie back to back in these files.  Raises: InputProblem: other octets follow them."""
    from ccsds.procedures.segmentation import packets_of

    units = []
    for name in names:
        octets = _read(name)
        packets, rest = packets_of(octets)
        if rest or not packets:
            at = len(octets) - len(rest)
            raise InputProblem(f"{name}: no whole packet at octet {at} of {len(octets)}; nothing of it is sent")
        units += [Unit(bytes(packet), f"{name}:{number}") for number, packet in enumerate(packets, 1)]
    return units


def frames_of_files(names: Sequence[str], check: bool) -> list[Unit]:
    """The TC frames that lie back to back in these files.  Raises: DecodeError: other octets are among them."""
    from ccsds.frames.tc import TcTransferFrame

    units = []
    for name in names:
        rest, number = memoryview(_read(name)), 0
        if not rest:
            raise InputProblem(f"{name}: empty")
        while rest:
            before = rest
            _, rest = TcTransferFrame.decode_from(
                before, segment_header_present=False, frame_error_control_present=check
            )
            number += 1
            units.append(Unit(bytes(before[: len(before) - len(rest)]), f"{name}:{number}"))
    return units


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError(f"--hex {text}: hex octets expected, two digits each") from None
