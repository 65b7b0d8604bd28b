"""Port: the contract that every driver meets, and `open_port`."""

from __future__ import annotations

import difflib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from netmap_io.errors import LinkTypeError, PortAddressError, PortClosedError, PortUnsupportedError

if TYPE_CHECKING:
    from netmap_io.burst import Burst

__all__ = [
    "Capabilities",
    "Counters",
    "LinkType",
    "Options",
    "Port",
    "nearest",
    "open_port",
    "register",
    "require_link_type",
]


class LinkType(Enum):
    """What a port's frames are."""

    ETHERNET = "Ethernet frames"
    RAW_OCTETS = "raw octets"
    CADU_STREAM = "a CADU stream"
    TRANSFER_FRAMES = "transfer frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a port is and can do; fixed while it is open."""

    link_type: LinkType
    maximum_frame_octets: int
    receives: bool = True
    sends: bool = True
    zero_copy: bool = False
    """Whether `lend` gives the driver's own memory instead of a copy."""
    timestamp_source: str = "none"
    """Who stamped the frames, in words; "none" where all times are unknown."""
    back_pressure: bool = True
    """Whether a full port makes `send` return less than it was given (true) or drops and counts (false)."""
    mac: bytes | None = None
    mtu: int | None = None


@dataclass(slots=True)
class Counters:
    """Since the port was opened.  A lower layer's drops are None where it does not tell."""

    received_frames: int = 0
    received_octets: int = 0
    sent_frames: int = 0
    sent_octets: int = 0
    dropped_by_port: int = 0
    """By us: frames that arrived or were to be sent and were let go."""
    dropped_by_ring: int | None = None
    """By the card or its ring, for want of room."""
    dropped_by_kernel: int | None = None
    """By the operating system, for want of room."""


class Port(ABC):
    """One attached port.  Never parses, never retries; blocks only as long as `timeout` says.

    One thread may receive or lend while another sends; no more than that without a lock of one's own.  `close` is
    called when neither is under way.  Used as a context manager, a port closes itself.
    """

    capabilities: Capabilities

    def __init__(self) -> None:
        self.closed = False

    @property
    @abstractmethod
    def counters(self) -> Counters:
        """The account so far."""

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever be received again (the end of a file, a peer that has gone)."""
        return False

    @abstractmethod
    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        """Wait for frames, at most `timeout` seconds (None: for ever, 0: not at all), and return those that are there.

        The burst owns its memory and has at most `max_frames` frames.  It is empty when the time is over, or when the
        port is `exhausted`: then at once.
        """

    def lend(self, max_frames: int = 65536, timeout: float | None = 0) -> AbstractContextManager[Burst]:
        """As `receive`, but the frames may lie in the driver's memory until the `with` block ends.

        Neither the burst nor a frame of it can be used afterwards: ValueError.  Its columns are the caller's own, and
        `copy()` keeps all of it.  The slots belong to the receiving thread within the block.
        """
        return self._lend(max_frames, timeout)

    @contextmanager
    def _lend(self, max_frames: int, timeout: float | None) -> Iterator[Burst]:
        burst = self.receive(max_frames, timeout)
        take_back = burst.lend()
        try:
            yield burst
        finally:
            take_back()

    @abstractmethod
    def send(self, burst: Burst) -> int:
        """Queue the frames in order; return how many from the front were taken, without blocking.

        Fewer than given: no room for now; send the rest (`burst[sent:]`) later.  A port without back-pressure takes
        all and counts what it drops.  Raises LinkTypeError where a frame is of another link type.
        """

    @abstractmethod
    def flush(self) -> None:
        """Hand on what `send` queued."""

    def fileno(self) -> int:
        """A descriptor that polls readable when there is something to receive."""
        self.require_open()
        raise PortUnsupportedError(f"a {type(self).__name__} has no file descriptor to wait on; call receive instead")

    def close(self) -> None:
        """Release everything, whatever state the port is in.  Again: nothing happens."""
        if not self.closed:
            self.closed = True
            self._release()

    @abstractmethod
    def _release(self) -> None:
        """What `close` does, once."""

    def require_open(self) -> None:
        """Raise PortClosedError after `close`."""
        if self.closed:
            raise PortClosedError(f"this {type(self).__name__} is closed")

    def bursts(self, max_frames: int = 65536) -> Iterator[Burst]:
        """Burst after burst until the port is exhausted."""
        while True:
            burst = self.receive(max_frames, None)
            if len(burst):
                yield burst
            elif self.exhausted:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_link_type(port: Port, *wanted: LinkType) -> None:
    """Raise LinkTypeError, with a sentence, unless the port's frames are of a `wanted` link type."""
    given = port.capabilities.link_type
    if given not in wanted:
        needed = " or ".join(each.value for each in wanted)
        raise LinkTypeError(f"this {type(port).__name__} carries {given.value}, not {needed}")


@dataclass
class Options:
    """The `?name=value&...` of an address, taken one by one so that what is left over is an error."""

    driver: str
    given: dict[str, str]
    known: list[str] = field(default_factory=list)

    def text(self, name: str, default: str | None = None) -> str | None:
        self.known.append(name)
        return self.given.pop(name, default)

    def choice(self, name: str, choices: Mapping[str, Any], default: str) -> Any:
        value = self.text(name, default) or ""
        if value not in choices:
            raise PortAddressError(f"{self.driver}: {name}={value} is not one of {', '.join(choices)}")
        return choices[value]

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
        value = self.text(name, str(default)) or ""
        if not (value.isascii() and value.isdigit() and len(value) < 20 and minimum <= int(value) <= maximum):
            raise PortAddressError(f"{self.driver}: {name}={value} is not a whole number from {minimum} to {maximum}")
        return int(value)

    def finish(self) -> None:
        """Raise PortAddressError for an option that nobody took."""
        for name in self.given:
            raise PortAddressError(f"{self.driver} has no option {name!r}; {nearest(name, self.known)}")


Driver = Callable[[str, Options], Port]
_DRIVERS: dict[str, str | Driver] = {
    "af_xdp": "netmap_io.drivers.af_xdp:open_address",
    "memory": "netmap_io.drivers.memory:open_address",
    "netmap": "netmap_io.drivers.netmap:open_address",
    "packet": "netmap_io.drivers.af_packet:open_address",
    "pcap": "netmap_io.drivers.pcap:open_address",
    "tap": "netmap_io.drivers.tap:open_address",
    "tcp": "netmap_io.drivers.tcp:open_address",
    "udp": "netmap_io.drivers.udp:open_address",
}


def register(name: str, driver: str | Driver) -> None:
    """Make `open_port` know a driver: a function of target and options, or "module:function", imported when used."""
    if name in _DRIVERS:
        raise ValueError(f"there is a driver {name!r} already")
    _DRIVERS[name] = driver


def open_port(address: str) -> Port:
    """Open a port by its address, `driver:target?option=value&...`.  A target with a "?" in it writes it as %3F.

    Wrappers stand before the driver, the outermost first: `fault+trace+driver:target?loss=0.01&option=value`.

    Raises: PortAddressError: no such driver or option; PortError: what the driver could not open.
    """
    names, colon, rest = address.partition(":")
    *wrappers, name = names.split("+")
    driver = _DRIVERS.get(name)
    if driver is None or not colon:
        hint = f"{nearest(name, list(_DRIVERS))}; an address is driver:target?option=value"
        raise PortAddressError(f"{address!r} names no driver; {hint}")
    target, _, query = rest.partition("?")
    options = Options(name, _parse(name, query))
    target = _unescape(target)
    if not wrappers:
        return _load(driver)(target, options)
    from netmap_io.wrappers.address import open_wrapped

    return open_wrapped(wrappers, options, lambda: _load(driver)(target, options))


def driver_names() -> list[str]:
    """The drivers that `open_port` knows."""
    return sorted(_DRIVERS)


def driver_functions() -> dict[str, Driver]:
    """The drivers by name, each imported."""
    return {name: _load(driver) for name, driver in _DRIVERS.items()}


def _load(driver: str | Driver) -> Driver:
    if not isinstance(driver, str):
        return driver
    module, _, function = driver.partition(":")
    loaded: Driver = getattr(importlib.import_module(module), function)
    return loaded


def _parse(driver: str, query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals:
            raise PortAddressError(f"{driver}: option {part!r} has no value; write {part}=value")
        if name in given:
            raise PortAddressError(f"{driver}: option {name!r} is given twice")
        given[name] = _unescape(value)
    return given


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def nearest(name: str, known: list[str]) -> str:
    """What to say about a name that is not known: the ones that look like it, or all."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there is {', '.join(sorted(known))}" if known else "it has none"
