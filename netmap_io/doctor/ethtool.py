"""What a network card says of itself, through the ethtool ioctls of <linux/ethtool.h>.  Only questions, no settings."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from dataclasses import dataclass, field

__all__ = ["Card", "ask"]

SIOCETHTOOL = 0x8946
_GDRVINFO, _GRINGPARAM, _GSTRINGS, _GSSET_INFO, _GFEATURES, _GCHANNELS = 0x03, 0x10, 0x1B, 0x37, 0x3A, 0x3C
_FEATURES_SET = 4
_STRING_OCTETS = 32


@dataclass(slots=True, kw_only=True)
class Card:
    """None, or nothing in it: the card does not tell.

    features: name to (active, can be changed).  rings: receive and transmit slots, with the most there can be.
    """

    driver: str | None = None
    bus: str | None = None
    queues: int | None = None
    most_queues: int | None = None
    receive_slots: tuple[int, int] | None = None
    transmit_slots: tuple[int, int] | None = None
    features: dict[str, tuple[bool, bool]] = field(default_factory=dict)


def ask(interface: str) -> Card:
    """All that the card of an interface tells."""
    card = Card()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        answer = _ioctl(asker, interface, struct.pack("=I192x", _GDRVINFO))
        if answer:
            card.driver, card.bus = _text(answer[4:36]), _text(answer[100:132])
        answer = _ioctl(asker, interface, struct.pack("=I32x", _GCHANNELS))
        if answer:
            _, most_rx, _, _, most_combined, rx, _, _, combined = struct.unpack("=9I", answer)
            card.queues, card.most_queues = max(rx, combined), max(most_rx, most_combined)
        answer = _ioctl(asker, interface, struct.pack("=I32x", _GRINGPARAM))
        if answer:
            _, most_rx, _, _, most_tx, rx, _, _, tx = struct.unpack("=9I", answer)
            card.receive_slots, card.transmit_slots = (rx, most_rx), (tx, most_tx)
        card.features = _features(asker, interface)
    return card


def _features(asker: socket.socket, interface: str) -> dict[str, tuple[bool, bool]]:
    answer = _ioctl(asker, interface, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURES_SET, 0))
    if not answer:
        return {}
    _, _, told, count = struct.unpack("=IIQI", answer)
    if not told or not 0 < count <= 1024:
        return {}
    answer = _ioctl(asker, interface, struct.pack("=III", _GSTRINGS, _FEATURES_SET, count) + bytes(32 * count))
    if not answer:
        return {}
    names = [_text(answer[12 + 32 * number : 44 + 32 * number]) for number in range(count)]
    blocks = -(-count // 32)
    answer = _ioctl(asker, interface, struct.pack("=II", _GFEATURES, blocks) + bytes(16 * blocks))
    if not answer:
        return {}
    words = struct.unpack_from(f"={4 * blocks}I", answer, 8)
    found = {}
    for number, name in enumerate(names):
        available, _, active, fixed = words[4 * (number // 32) : 4 * (number // 32) + 4]
        bit = 1 << (number % 32)
        if name:
            found[name] = (bool(active & bit), bool(available & bit) and not fixed & bit)
    return found


def _ioctl(asker: socket.socket, interface: str, question: bytes) -> bytes | None:
    """The question's structure as the kernel filled it in; None where it refuses."""
    buffer = ctypes.create_string_buffer(question, len(question))
    request = struct.pack("16sP8x", interface.encode()[:15], ctypes.addressof(buffer))
    try:
        fcntl.ioctl(asker, SIOCETHTOOL, request)
    except OSError:
        return None
    return buffer.raw


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode("utf-8", "replace")
