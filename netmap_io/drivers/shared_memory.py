"""memory between processes: two rings in a memfd, one each way, with an eventfd for each end.

The ends meet by a name (an abstract Unix socket) or by descriptors that one hands to the other.  A socket between them
lives as long as both: that is how the death of one is noticed.  The rings are in `netmap_io._native`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from netmap_io import _native
from netmap_io.burst import Burst
from netmap_io.drivers.descriptor import LINK_TYPES, DescriptorPort, refused
from netmap_io.errors import LinkTypeError, PortAddressError, PortClosedError, PortSystemError
from netmap_io.port import Capabilities, Counters, LinkType, Options

__all__ = ["SharedMemoryPort", "open_address"]

CAPACITY_FRAMES = 65536
CAPACITY_OCTETS = 16 << 20
_NAME_OCTETS = 64
_HELLO = struct.Struct("=8s24s")
_MAGIC = b"netmapio"
_TAKEN = _HELLO.pack(_MAGIC, b"two ends already")
_SO_PEERCRED = 17


class SharedMemoryPort(DescriptorPort):
    """One end of a link to another process.

    What the other end writes is checked and copied once; `lend` copies nothing, and what it lends the other end can
    change meanwhile.  Annotations of frames stay behind.
    """

    def __init__(
        self, rings: _native.SharedRings, descriptors: list[int], control: socket.socket | None, link_type: LinkType
    ) -> None:
        """For `create`, `attach` and `meet`.  Owns `descriptors` (memory, own eventfd, the other's) and `control`."""
        self._rings = rings
        self._descriptors = descriptors
        self._control = control
        self._listener: socket.socket | None = None
        self._handover: socket.socket | None = None
        self._name_keeper: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._fault: str | None = None
        super().__init__(
            Capabilities(
                link_type=link_type,
                maximum_frame_octets=min(rings.sizes()[1], 2**32 - 1),
                zero_copy=True,
                timestamp_source="as sent",
            )
        )
        self.readiness.add(descriptors[1])
        if control is not None:
            self.readiness.add(control.fileno())

    @classmethod
    def create(
        cls,
        *,
        link_type: LinkType = LinkType.RAW_OCTETS,
        capacity_frames: int = CAPACITY_FRAMES,
        capacity_octets: int = CAPACITY_OCTETS,
    ) -> SharedMemoryPort:
        """A new link, each way as large as told; `handover()` gives what its other end is attached by."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            port = cls._create(near, link_type, capacity_frames, capacity_octets)
        except BaseException:
            near.close()
            far.close()
            raise
        port._handover = far
        return port

    @classmethod
    def _create(cls, control: socket.socket | None, link_type: LinkType, frames: int, octets: int) -> SharedMemoryPort:
        descriptors: list[int] = []
        try:
            descriptors.append(os.memfd_create("netmap_io", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
            os.ftruncate(descriptors[0], _native.SharedRings.file_octets(frames, octets))
            fcntl.fcntl(descriptors[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            descriptors += [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2)]
            rings = _native.SharedRings.create(descriptors[0], frames, octets, *descriptors[1:])
        except OSError as error:
            _close_all(descriptors)
            raise _said("create shared memory", error) from None
        return cls(rings, descriptors, control, link_type)

    def handover(self) -> tuple[int, int, int, int]:
        """Descriptors of the other end, once: memory, its eventfd, ours, control.

        They are the caller's.  Give them to `attach`, which takes them over; or pass them to a child (`pass_fds`) that
        opens `memory:?descriptors=a,b,c,d`, and close them here, or the child's death will not show.
        """
        self.require_open()
        if self._handover is None:
            raise PortSystemError("the other end of this SharedMemoryPort has been handed over already")
        memory, own, other = (os.dup(descriptor) for descriptor in self._descriptors)
        control, self._handover = self._handover.detach(), None
        return memory, other, own, control

    @classmethod
    def attach(
        cls, descriptors: tuple[int, int, int, int], link_type: LinkType = LinkType.RAW_OCTETS
    ) -> SharedMemoryPort:
        """The other end, by what `handover()` gave; takes the descriptors over, whatever comes of it.

        `link_type` is what the creator told.  Raises PortSystemError where the memory holds no rings.
        """
        held = list(descriptors)
        try:
            for descriptor in held:
                os.fstat(descriptor)
            control = socket.socket(fileno=held[3])
        except OSError as error:
            for descriptor in held:
                with contextlib.suppress(OSError):  # the one that is none
                    os.close(descriptor)
            raise refused("use the descriptors handed over", error) from None
        control.setblocking(False)
        return cls._attach(held[:3], control, link_type)

    @classmethod
    def _attach(cls, held: list[int], control: socket.socket, link_type: LinkType) -> SharedMemoryPort:
        try:
            for event in held[1:]:
                os.set_blocking(event, False)
            rings = _native.SharedRings.attach(*held)
            return cls(rings, held, control, link_type)
        except OSError as error:
            _close_all(held)
            control.close()
            raise _said("attach shared memory", error) from None

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def untaken_frames(self) -> int:
        """Frames sent that the other end has not taken; if it has gone, they are lost."""
        self.require_open()
        with self._checked():
            return self._rings.untaken()

    @property
    def connected(self) -> bool:
        """Whether the other end is there; true also before it first was."""
        with self._lock:
            control = self._control
            if control is None:
                return not self.closed and self._fault is None and self._listener is not None
            try:
                return bool(control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except BlockingIOError:
                return True
            except OSError:
                return False

    @property
    def exhausted(self) -> bool:
        if self._fault is not None:
            return True
        if self.connected:
            return False
        try:  # looked at after the other end was seen to be gone: nothing can follow
            return self._rings.waiting() == 0
        except ConnectionError:
            return False  # `receive` will say it

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:
            self._fault = str(error)
            raise PortSystemError(f"this link is of no more use: {error}") from None

    def _require_sound(self) -> None:
        if self._fault is not None:
            raise PortSystemError(f"this link is of no more use: {self._fault}")

    def _take(self, max_frames: int) -> Burst:
        if self._fault is not None:
            return Burst(b"", [0])
        with self._checked():
            columns, links = self._rings.take(max_frames)
        return Burst.of_native(columns, np.frombuffer(links, dtype=np.uint16))

    @contextmanager
    def _lend(self, max_frames: int, timeout: float | None) -> Iterator[Burst]:
        burst = self._borrow(max_frames, timeout)
        take_back = burst.lend()
        try:
            yield burst
        finally:
            take_back()
            self._rings.give_back()

    def _borrow(self, max_frames: int, timeout: float | None) -> Burst:
        """As `receive`, of frames that stay in the ring."""
        self.require_open()
        self._require_sound()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        self._wait_for_frames(timeout)
        with self._checked():
            octets, (columns, links) = self._rings.lend(max_frames)
        burst = Burst.of_native((octets, *columns[1:]), np.frombuffer(links, dtype=np.uint16))
        self._count_received(burst)
        return burst

    def _wait_for_frames(self, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._checked():
                if self._rings.waiting():
                    return
                self._rings.take(0)  # arms the descriptor
            if self.exhausted or not self._wait(deadline):
                return

    def _put(self, burst: Burst) -> int:
        self._require_sound()
        if not self.connected:
            raise PortClosedError("the other end of this SharedMemoryPort has gone")
        with self._checked():
            # a column that stands for one number is spread out here: numpy does that many times faster
            links, interfaces = map(np.ascontiguousarray, (burst.link_types, burst.interfaces))
            taken = self._rings.put(burst.columns(), links, interfaces)
        self._counters.sent_frames += taken
        self._counters.sent_octets += burst.octets if taken == len(burst) else int(burst.lengths[:taken].sum())
        return taken

    def _release_device(self) -> None:
        with self._lock:
            for each in (self._control, self._handover, self._listener, self._name_keeper):
                if each is not None:
                    with contextlib.suppress(OSError):  # wakes who waits in accept; nobody may be connected
                        each.shutdown(socket.SHUT_RDWR)
                    each.close()
        if self._thread is not None:
            self._thread.join()
        _close_all(self._descriptors)

    # meeting by name

    @classmethod
    def meet(
        cls,
        name: str,
        *,
        link_type: LinkType = LinkType.RAW_OCTETS,
        capacity_frames: int = CAPACITY_FRAMES,
        capacity_octets: int = CAPACITY_OCTETS,
        attach_s: float = 10.0,
    ) -> SharedMemoryPort:
        """The end of link `name`: the first to ask makes it, the second attaches (its sizes are the first one's).

        Both must run under one user, in one network namespace.  Raises PortSystemError, LinkTypeError.
        """
        address = b"\0netmap_io/" + os.fsencode(name)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise refused(f"open memory:{name}", error) from None
            return cls._meet_second(name, address, link_type, attach_s)
        try:
            port = cls._create(None, link_type, capacity_frames, capacity_octets)
        except BaseException:
            listener.close()
            raise
        port._listener = listener
        port._thread = threading.Thread(target=port._await_second, args=(listener,), daemon=True, name=f"memory:{name}")
        port._thread.start()
        return port

    def _await_second(self, listener: socket.socket) -> None:
        """In a thread of its own: give the descriptors to the first who comes and may have them."""
        while True:
            try:
                control, _ = listener.accept()
            except OSError:
                return  # closed
            with self._lock:
                if self.closed or not _same_user(control):
                    control.close()
                    continue
                if self._welcome(control, listener):
                    return

    def _welcome(self, control: socket.socket, listener: socket.socket) -> bool:
        memory, own, other = self._descriptors
        hello = _HELLO.pack(_MAGIC, self.capabilities.link_type.name.encode())
        try:
            socket.send_fds(control, [hello], [memory, other, own])
        except OSError:
            control.close()
            return False
        control.setblocking(False)
        self._control, self._listener = control, None
        self._name_keeper = listener  # bound still: a third one is told that the link has two ends
        _turn_away_others(listener)
        self.readiness.add(control.fileno())
        return True

    @classmethod
    def _meet_second(cls, name: str, address: bytes, link_type: LinkType, attach_s: float) -> SharedMemoryPort:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        held: list[int] = []
        try:
            control.settimeout(attach_s)
            control.connect(address)
            if not _same_user(control):
                raise PortSystemError(f"memory:{name} belongs to another user")
            hello, held, _, _ = socket.recv_fds(control, _HELLO.size, 3, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            control.close()
            raise PortSystemError(f"memory:{name}: the other end did not answer within {attach_s:g} s") from None
        except ConnectionRefusedError:
            control.close()
            raise PortSystemError(f"memory:{name} has two ends already") from None
        except OSError as error:
            control.close()
            raise refused(f"open memory:{name}", error) from None
        except PortSystemError:
            control.close()
            raise
        if hello == _TAKEN:
            control.close()
            raise PortSystemError(f"memory:{name} has two ends already")
        given = _link_type_of(hello) if len(held) == 3 else None
        if given is not link_type:
            _close_all(held)
            control.close()
            if given is None:
                raise PortSystemError(f"memory:{name}: the other end is no port, or is closing")
            raise LinkTypeError(f"memory:{name} carries {given.value}, not {link_type.value}")
        control.setblocking(False)
        return cls._attach(held, control, link_type)


def _turn_away_others(listener: socket.socket) -> None:
    """Let nobody else connect, and tell those who did while the second end was welcomed."""
    with contextlib.suppress(OSError):  # closed meanwhile, or nobody waits any more
        listener.shutdown(socket.SHUT_RDWR)
        while True:
            late, _ = listener.accept()
            with late, contextlib.suppress(OSError):
                late.send(_TAKEN)


def _link_type_of(hello: bytes) -> LinkType | None:
    if len(hello) != _HELLO.size:
        return None
    magic, name = _HELLO.unpack(hello)
    with contextlib.suppress(KeyError, UnicodeDecodeError):
        return LinkType[name.rstrip(b"\0").decode("ascii")] if magic == _MAGIC else None
    return None


def _same_user(control: socket.socket) -> bool:
    _, user, _ = struct.unpack("=iii", control.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, 12))
    return user in (os.geteuid(), 0)


def _said(what: str, error: OSError) -> PortSystemError:
    """`error` is a kernel's sentence (no errno) or the system's."""
    return PortSystemError(f"cannot {what}: {error}") if error.errno is None else refused(what, error)


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    descriptors.clear()


def open_address(target: str, options: Options) -> SharedMemoryPort:
    """`memory:name?link_type=...&capacity_frames=...&capacity_octets=...`, `memory:?descriptors=a,b,c,d`"""
    link_type = options.choice("link_type", LINK_TYPES, "raw_octets")
    descriptors = options.text("descriptors")
    if descriptors is not None:
        options.finish()
        given = descriptors.split(",")
        if target or len(given) != 4 or not all(each.isascii() and each.isdigit() and len(each) < 9 for each in given):
            raise PortAddressError("memory: descriptors=a,b,c,d are the four numbers of handover(), without a name")
        a, b, c, d = map(int, given)
        return SharedMemoryPort.attach((a, b, c, d), link_type)
    settings: dict[str, Any] = {
        "capacity_frames": options.integer("capacity_frames", CAPACITY_FRAMES, 1, 1 << 24),
        "capacity_octets": options.integer("capacity_octets", CAPACITY_OCTETS, 1, 1 << 36),
        "attach_s": options.integer("attach_ms", 10_000, 0, 86_400_000) / 1000,
    }
    options.finish()
    if len(os.fsencode(target)) > _NAME_OCTETS:
        raise PortAddressError(f"memory: a name has at most {_NAME_OCTETS} octets")
    return SharedMemoryPort.meet(target, link_type=link_type, **settings)
