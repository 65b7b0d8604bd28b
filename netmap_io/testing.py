"""For the tests of drivers: the contract of Port as a function, and a network namespace of one's own."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from netmap_io.burst import ETHERNET, RAW_OCTETS, Burst
from netmap_io.errors import LinkTypeError, PortClosedError, PortUnsupportedError
from netmap_io.port import LinkType, Port

__all__ = ["NamespaceError", "check_port", "frames_for", "in_namespace"]

Connect = Callable[[], tuple[Port, Port]]
"""Gives two open ports; what the first one sends the second one receives."""
_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_SOMEBODY = bytes.fromhex("020000000001")


def check_port(connect: Connect, *, keeps_times: bool = False, seconds: float = 10.0) -> None:
    """Hold a driver to the contract; AssertionError says what it breaks.

    connect: called for each check; the ports are closed here.  keeps_times: times and wire lengths arrive as sent.
    seconds: how long frames may be on their way.
    """
    for check in _CHECKS:
        near, far = connect()
        with near, far:
            check(near, far, keeps_times, seconds)


def frames_for(port: Port, count: int = 100) -> Burst:
    """Frames that `port` can carry, all different, from the least length on; Ethernet's go from it to all."""
    ethernet = port.capabilities.link_type is LinkType.ETHERNET
    least = 14 if ethernet else 1
    frames = [bytes([index % 251]) * (least + index * 7 % 60) for index in range(count)]
    if ethernet:  # a switch, of a card or not, drops what it finds no way for, or what goes back where it came from
        addresses = b"\xff" * 6 + (port.capabilities.mac or _SOMEBODY)
        frames = [
            addresses + struct.pack("!H", 0xF000 | index & 0xFFF) + each[14:] for index, each in enumerate(frames)
        ]
    times = [1_700_000_000_000_000_000 + index for index in range(count)]
    return Burst.of(frames, times, link_types=ETHERNET if ethernet else RAW_OCTETS)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)


def _octets(burst: Burst) -> list[bytes]:
    return [bytes(frame) for frame in burst]


def _send_all(near: Port, burst: Burst, seconds: float) -> None:
    deadline, sent = time.monotonic() + seconds, 0
    while sent < len(burst):
        count = near.send(burst[sent:])
        _require(0 <= count <= len(burst) - sent, f"send took {count} of {len(burst) - sent} frames")
        sent += count
        _require(bool(count) or time.monotonic() < deadline, f"send took only {sent} of {len(burst)} frames in time")
    near.flush()


def _receive(far: Port, count: int, seconds: float, at_once: int = 65536) -> list[Burst]:
    deadline, bursts, got = time.monotonic() + seconds, [], 0
    while got < count and time.monotonic() < deadline and not far.exhausted:
        burst = far.receive(at_once, 0.1)
        _require(len(burst) <= at_once, f"receive({at_once}) gave {len(burst)} frames")
        bursts.append(burst)
        got += len(burst)
    return bursts


def _check_carries(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    sent = frames_for(near)
    _send_all(near, sent, seconds)
    bursts = _receive(far, len(sent), seconds, 7)
    got = [frame for burst in bursts for frame in _octets(burst)]
    _require(got == _octets(sent), f"{len(sent)} frames were sent, {len(got)} others or in another order received")
    _require(len(far.receive(7, 0)) == 0, "more frames were received than sent")
    _require(far.receive(7, 0).octets == 0, "an empty burst has octets")
    times = [int(each) for burst in bursts for each in burst.timestamps_ns]
    if keeps_times:
        _require(times == sent.timestamps_ns.tolist(), "the times are others than those sent")
    links = {int(number) for burst in bursts for number in burst.link_types}
    _require(links <= {int(sent.link_types[0])}, f"frames of link type {links} were received, of another sent")


def _check_counts(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    sent = frames_for(near)
    _send_all(near, sent, seconds)
    _receive(far, len(sent), seconds)
    outward, inward = near.counters, far.counters
    _require(outward.sent_frames == len(sent), f"sent_frames is {outward.sent_frames}, {len(sent)} were sent")
    _require(outward.sent_octets == sent.octets, f"sent_octets is {outward.sent_octets}, {sent.octets} were sent")
    _require(inward.received_frames == len(sent), f"received_frames is {inward.received_frames}, not {len(sent)}")
    _require(inward.received_octets == sent.octets, f"received_octets is {inward.received_octets}, not {sent.octets}")


def _check_lends(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    sent = frames_for(near, 5)
    _send_all(near, sent, seconds)
    kept: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(kept) < 5 and time.monotonic() < deadline:
        with far.lend(2, 0.1) as lent:
            _require(len(lent) <= 2, f"lend(2) gave {len(lent)} frames")
            frames = list(lent)
            kept += [bytes(frame) for frame in frames]
        _require(_raises(ValueError, lent.__len__), "a lent burst can be used after its block")
        for frame in frames:
            _require(_raises(ValueError, frame.tobytes), "a lent frame can be used after its block")
    _require(kept == _octets(sent), "what was lent is not what was sent")


def _check_waits(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    started = time.monotonic()
    _require(len(far.receive(9, 0.05)) == 0, "frames were received that nobody sent")
    took = time.monotonic() - started
    _require(far.exhausted or 0.04 <= took < 0.05 + seconds, f"receive took {took:.3f} s where 0.05 were given")
    try:
        descriptor = far.fileno()
    except PortUnsupportedError:
        return
    _require(not select.select([descriptor], [], [], 0)[0], "the descriptor is readable, and nothing is there")
    sent = frames_for(near, 3)
    _send_all(near, sent, seconds)
    for left in (3, 2, 1):
        _require(bool(select.select([descriptor], [], [], seconds)[0]), f"{left} frames are there, nothing is readable")
        _require(len(far.receive(1, seconds)) == 1, "the descriptor is readable, and receive gives nothing")


def _check_refuses(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    ethernet = near.capabilities.link_type is LinkType.ETHERNET
    wrong = Burst.of([bytes(60)], link_types=RAW_OCTETS if ethernet else ETHERNET)
    _require(_raises(LinkTypeError, lambda: near.send(wrong)), "a frame of another link type was taken")
    _require(near.counters.sent_frames == 0, "a frame that was refused is counted as sent")
    _require(_raises(ValueError, lambda: far.receive(0, 0)), "receive(0) was taken")
    _require(near.send(Burst.of([])) == 0, "an empty burst was sent")


def _check_closes(near: Port, far: Port, keeps_times: bool, seconds: float) -> None:
    burst = frames_for(near)
    for port in (near, far):
        port.close()
        port.close()
        for what, use in (
            ("receive", lambda port=port: port.receive(1, 0)),
            ("send", lambda port=port: port.send(burst)),
            ("flush", port.flush),
            ("fileno", port.fileno),
        ):
            _require(_raises(PortClosedError, use), f"{what} works after close, or fails without a PortClosedError")


_CHECKS = (_check_carries, _check_counts, _check_lends, _check_waits, _check_refuses, _check_closes)


def _raises(error: type[Exception], use: Callable[[], object]) -> bool:
    try:
        use()
    except error:
        return True
    return False


class NamespaceError(Exception):
    """A network namespace cannot be made here; the message says why."""


def in_namespace(call: Callable[[], _T]) -> _T:
    """What `call` gives, called in a new network namespace, which lasts as long as a socket or port opened in it.

    Raises NamespaceError: no privilege for it.
    """
    answers: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):
            errors.append(NamespaceError(f"no network namespace: {os.strerror(ctypes.get_errno()).lower()}"))
            return
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run)  # of its own: a thread cannot go back
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]
