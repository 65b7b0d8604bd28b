"""netmap: rings of a network device, its host, a VALE switch or a pipe; by the kernel's module or a simulated one."""

from __future__ import annotations

import functools
import math
import os
import time
from typing import Any, NamedTuple

from netmap_io import _native
from netmap_io._native import NetmapSimulation
from netmap_io.burst import ETHERNET, Burst
from netmap_io.drivers.descriptor import refused, yes_or_no
from netmap_io.drivers.netmap_discipline import Discipline
from netmap_io.drivers.rings import LOOK_AGAIN_S, RingCapabilities, RingPort, SlotBurst
from netmap_io.errors import InterfaceVanishedError, PortAddressError, PortSystemError, PortUnsupportedError
from netmap_io.port import Counters, LinkType, Options, Port

__all__ = ["Forwarded", "NetmapPort", "NetmapSimulation", "forward", "open_address", "simulation", "swaps_buffers"]

DEVICE = "/dev/netmap"
_LOSSES = {"VALE port": "a switch", "network device": "a device"}
"""What gives no back-pressure: in emulated mode a device is done with a slot whatever became of its frame."""
_DIRECTIONS: dict[str, list[str]] = {"both": [], "receive": ["receive_only"], "send": ["transmit_only"]}
_MONITORS: dict[str, list[str]] = {
    "none": [],
    "sent": ["monitor_sent"],
    "received": ["monitor_received"],
    "both": ["monitor_sent", "monitor_received"],
}
_WHOLE = {"hardware": "hardware", "host": "host", "hardware_and_host": "hardware_and_host"}
_MOST_RING = 4095


class NetmapPort(RingPort):
    """Frames of one ring, several, or all of a port.  A burst's `interfaces` column holds the number of the ring.

    A network device that is down is never asked: the module would hold this process until it is up.  One that has gone
    is closed at once, since its removal waits for that.
    """

    _rings: _native.NetmapRings

    def __init__(
        self,
        name: str,
        *,
        rings: str = "hardware",
        device: str | NetmapSimulation = DEVICE,
        direction: str = "both",
        exclusive: bool = False,
        monitor: str = "none",
        monitor_zero_copy: bool = False,
        slots: tuple[int, int] = (0, 0),
        ring_count: tuple[int, int] = (0, 0),
        memory_id: int = 0,
        extra_buffers: int = 0,
        timestamps: bool = True,
        send_ring: int = 0,
        busy_poll_us: int = 0,
    ) -> None:
        """Open port `name` as the kernel calls it: `eth0`, `vale0:p1`, `x{1` (master of pipe 1 under x), `x}1` (slave).

        rings: hardware, host, hardware_and_host, or numbers as in 0, 0-3, 0,2, host0.  device: the module's, or a
        simulated one.  monitor: see what another port of that name has sent, received or both.  slots, ring_count:
        wishes (sending, receiving) for VALE ports and pipes, 0 their default.  memory_id: region to lie in, 0 the
        default.  extra_buffers: take the place of lent ones, so that the ring goes on.  send_ring: which of the bound
        rings sends.  busy_poll_us: how long to turn round before a wait sleeps.  Raises PortError.
        """
        flags = [*_DIRECTIONS[direction], *_MONITORS[monitor], *(["exclusive"] if exclusive else [])]
        flags += ["monitor_zero_copy"] if monitor_zero_copy else []
        modes = _modes(rings)
        real = isinstance(device, str) and "{" not in name and "}" not in name and not name.startswith("vale")
        discipline = Discipline.of(name) if real else None
        try:
            opened = _native.NetmapRings(
                name, device, modes, flags, slots, ring_count, memory_id, extra_buffers, timestamps, send_ring
            )
        except BaseException:
            if discipline is not None:
                discipline.forget()
            raise
        outcome = opened.outcome()
        interface = opened.interface()
        remarks = []
        if extra_buffers > outcome["extra_buffers"]:
            remarks.append(f"{name}: {outcome['extra_buffers']} of {extra_buffers} extra buffers were granted")
        loss = _LOSSES.get(outcome["kind"])
        if loss is not None:
            remarks.append(f"{name}: {loss} drops silently what the receiver has no room for: sent is not delivered")
        super().__init__(
            opened,
            RingCapabilities(
                link_type=LinkType.ETHERNET,
                maximum_frame_octets=outcome["longest"],
                sends=outcome["sends"],
                receives=bool(outcome["receive_slots"]),
                zero_copy=True,
                timestamp_source="the kernel, at the sync that brought the frame" if timestamps else "none",
                back_pressure=loss is None,
                mac=bytes(interface[0]) if interface else None,
                mtu=interface[1] if interface else None,
                mode=_mode_in_words(outcome),
                remarks=tuple(remarks),
            ),
        )
        self.name = name
        self.memory_id: int = outcome["memory_id"]
        self.extra_buffers: int = outcome["extra_buffers"]
        self.transmit_slots: tuple[int, ...] = tuple(outcome["transmit_slots"])
        self.receive_slots: tuple[int, ...] = tuple(outcome["receive_slots"])
        self._busy_s = busy_poll_us / 1e6
        self._discipline = discipline
        self._refused = 0
        self._end: str | None = None

    @property
    def counters(self) -> Counters:
        """`sent_frames` are those put into the ring.  netmap does not tell what it drops."""
        account, counted = self.account, self._counted
        lost = account["damaged_frames"] + account["endless_frames"] + self._refused
        return Counters(
            received_frames=counted.received_frames,
            received_octets=counted.received_octets,
            sent_frames=counted.sent_frames,
            sent_octets=counted.sent_octets,
            dropped_by_port=lost,
        )

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        try:
            return super().receive(max_frames, timeout)
        except InterfaceVanishedError as error:
            self._let_go(error)
            raise

    def send(self, burst: Burst) -> int:
        """As Port says.  Raises ValueError, and sends nothing, where a frame is too short or too long."""
        self._require_usable()
        try:
            return super().send(burst)
        except InterfaceVanishedError as error:
            self._let_go(error)
            raise

    def flush(self) -> None:
        """Let the kernel look at what is in the ring."""
        self._require_usable()
        try:
            super().flush()
        except InterfaceVanishedError as error:
            self._let_go(error)
            raise

    def wait_for_room(self, timeout: float | None = None) -> bool:
        """Wait until the kernel side has given back a slot to send with, at most `timeout` seconds (None: for ever).

        Whether there is one.  `send` does not wait: it takes fewer frames, or none.  Raises as `send` does.
        """
        self._require_usable()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        try:
            while True:
                left = deadline - time.monotonic()
                if self._rings.wait_for_room(min(LOOK_AGAIN_S, max(left, 0.0))):
                    return True
                if left <= 0:
                    return False
        except InterfaceVanishedError as error:
            self._let_go(error)
            raise

    def fileno(self) -> int:
        self._require_usable()
        return super().fileno()

    def _lend_slots(self, max_frames: int, timeout: float | None) -> Burst:
        self._require(max_frames)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                columns = self._rings.lend(max_frames)
            except InterfaceVanishedError as error:
                self._let_go(error)
                raise
            try:
                burst = self._lent(columns, deadline)
            except BaseException as error:
                if isinstance(error, InterfaceVanishedError):
                    self._let_go(error)
                else:
                    self._rings.take_back()
                raise
            if burst is not None:
                self._lendings += 1
                return self._count(burst)
            self._rings.take_back()

    def _lent(self, columns: tuple[Any, ...], deadline: float | None) -> Burst | None:
        """What is lent; a frame of several slots is put together in memory of its own.  None: look again."""
        if not len(columns[0]) and self._rings.fragmented():
            return Burst.of_native(self._rings.receive(1), ETHERNET)
        if len(columns[0]) or not self._wait(deadline):
            return SlotBurst.of_slots(self._memory, columns)
        return None

    def _take_back(self) -> None:
        if not self._vanished:
            self._rings.take_back()

    def _require(self, max_frames: int) -> None:
        super()._require(max_frames)
        self._require_usable()

    def _require_usable(self) -> None:
        self.require_open()
        if self._end is not None:
            raise InterfaceVanishedError(self._end)

    def _wait(self, deadline: float | None) -> bool:
        left = LOOK_AGAIN_S if deadline is None else min(LOOK_AGAIN_S, deadline - time.monotonic())
        if left <= 0:
            self._check()
            return False
        _, look = self._rings.wait(left, self._busy_s)
        if look:
            self._check()
        return True

    def _let_go(self, error: InterfaceVanishedError) -> None:
        """Close descriptors and mapping at once: who removes the device waits for it.  The port stays, to say so."""
        if self._end is None:
            self._end = str(error)
            self._vanished = True
            self._last_account = self._rings.account()
            self._rings.close()
            del self._memory

    def _release(self) -> None:
        if self._end is None:
            super()._release()
        if self._discipline is not None:
            self._discipline.restore()


class Forwarded(NamedTuple):
    """What a call of `forward` did."""

    frames: int
    octets: int
    refused: int
    """Frames of a length that the target does not take: let go, and counted in its `dropped_by_port`."""
    refused_octets: int
    full: bool
    """Whether the target has no room for a frame that is there."""


def swaps_buffers(source: Port, target: Port) -> bool:
    """Whether `forward` works for the two, and without a copy: both are netmap ports in one memory region."""
    if not isinstance(source, NetmapPort) or not isinstance(target, NetmapPort):
        return False
    return _usable(source) and _usable(target) and source._rings.shares_memory(target._rings)


def forward(source: Port, target: Port, max_frames: int = 65536, timeout: float | None = 0) -> Forwarded:
    """Hand frames from one netmap port to another, ring to ring, as far as the target has room.

    In one memory region buffers are swapped and no octet is copied; else each frame is copied once.  Waits for frames
    at most `timeout` seconds (None: for ever), never for room.  Raises PortUnsupportedError: another kind of port.
    """
    if not isinstance(source, NetmapPort) or not isinstance(target, NetmapPort):
        raise PortUnsupportedError("forward moves frames between two netmap ports; for others receive and send")
    source._require(max_frames)
    target._require_usable()
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            done = Forwarded(*source._rings.forward(target._rings, max_frames))
            if done.frames or done.refused or done.full or not source._wait(deadline):
                break
    except InterfaceVanishedError:
        for port in (source, target):
            try:
                port._rings.check()
            except InterfaceVanishedError as error:
                port._let_go(error)
        raise
    source._counted.received_frames += done.frames + done.refused
    source._counted.received_octets += done.octets + done.refused_octets
    target._counted.sent_frames += done.frames
    target._counted.sent_octets += done.octets
    target._refused += done.refused
    return done


def _usable(port: NetmapPort) -> bool:
    return not port.closed and port._end is None


def simulation(path: str | None = None) -> NetmapSimulation:
    """The simulated kernel side that `device=simulated` means: this process's own, or the one in the file at `path`."""
    return _simulation(path)


@functools.cache
def _simulation(path: str | None) -> NetmapSimulation:
    if path is None:
        return NetmapSimulation()
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise refused(f"open the simulation at {path}", error) from None
    try:
        return NetmapSimulation.attach(file)
    except OSError as error:
        raise PortSystemError(f"cannot attach to the simulation at {path}: {error}") from None
    finally:
        os.close(file)


def _mode_in_words(outcome: dict[str, Any]) -> str:
    def some(slots: list[int]) -> str:
        return f"{len(slots)} of {'/'.join(map(str, sorted(set(slots))))} slots" if slots else "none"

    sent, received = some(outcome["transmit_slots"]), some(outcome["receive_slots"])
    return (
        f"netmap, {outcome['kind']}, rings to receive: {received}, to send: {sent}, "
        f"memory region {outcome['memory_id']}"
    )


def _modes(rings: str) -> list[tuple[str, int]]:
    if rings in _WHOLE:
        return [(_WHOLE[rings], 0)]
    modes: list[tuple[str, int]] = []
    for part in rings.split(","):
        kind = "one_host" if part.startswith("host") else "one_hardware"
        first, dash, last = part.removeprefix("host").partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) < 5 and int(end) <= _MOST_RING for end in ends):
            raise PortAddressError(
                f"netmap: rings={rings} is not hardware, host, hardware_and_host, nor numbers as in 0, 0-3, 0,2, host0"
            )
        modes.extend((kind, number) for number in range(int(ends[0]), int(ends[1]) + 1))
    if not modes or len(set(modes)) != len(modes):
        raise PortAddressError(f"netmap: rings={rings} names no ring, or one twice")
    return modes


def _pipe(target: str, options: Options) -> str:
    """The target, or the pipe's end that `pipe` and `end` describe without braces."""
    identifier = options.text("pipe")
    end = options.choice("end", {"master": "{", "slave": "}"}, "master")
    if identifier is None:
        if "end" not in options.given and end == "}":
            raise PortAddressError("netmap: end=slave needs a pipe=NUMBER")
        return target
    if "{" in target or "}" in target or not identifier:
        raise PortAddressError(
            f"netmap: {target!r} with pipe={identifier} names no pipe; write netmap:x?pipe=1&end=slave"
        )
    return f"{target}{end}{identifier}"


def open_address(target: str, options: Options) -> NetmapPort:
    """`netmap:eth0`, `netmap:vale0:p1`, `netmap:x?pipe=1&end=master` (or `netmap:x{1`); more in docs/netmap.md"""
    name = _pipe(target, options)
    rings = options.text("rings", "hardware") or ""
    path = options.text("device", DEVICE) or DEVICE
    where = options.text("simulation")
    direction = options.choice("direction", {name: name for name in _DIRECTIONS}, "both")
    exclusive = yes_or_no(options, "exclusive", False)
    monitor = options.choice("monitor", {name: name for name in _MONITORS}, "none")
    monitor_zero_copy = yes_or_no(options, "monitor_zero_copy", False)
    slots = tuple(options.integer(f"{way}_slots", 0, maximum=65536) for way in ("transmit", "receive"))
    counts = tuple(options.integer(f"{way}_rings", 0, maximum=4096) for way in ("transmit", "receive"))
    memory_id = options.integer("memory_id", 0, maximum=0xFFFF)
    extra_buffers = options.integer("extra_buffers", 0, maximum=1 << 24)
    timestamps = yes_or_no(options, "timestamps", True)
    send_ring = options.integer("send_ring", 0, maximum=_MOST_RING)
    busy_poll_us = options.integer("busy_poll_us", 0, maximum=60_000_000)
    options.finish()
    if where is not None and path != "simulated":
        raise PortAddressError("netmap: simulation=FILE goes with device=simulated")
    if path != "simulated" and not path.startswith("/"):
        raise PortAddressError(f"netmap: device={path} is neither a path nor simulated")
    return NetmapPort(
        name,
        rings=rings,
        device=simulation(where) if path == "simulated" else path,
        direction=direction,
        exclusive=exclusive,
        monitor=monitor,
        monitor_zero_copy=monitor_zero_copy,
        slots=(slots[0], slots[1]),
        ring_count=(counts[0], counts[1]),
        memory_id=memory_id,
        extra_buffers=extra_buffers,
        timestamps=timestamps,
        send_ring=send_ring,
        busy_poll_us=busy_poll_us,
    )
