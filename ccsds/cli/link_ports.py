"""Ports of `ccsds command` and `ccsds spacecraft`: any address of the link layer; a bare number is UDP of here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ccsds.cli.port_source import is_address
from ccsds.cli.problems import UsageProblem

if TYPE_CHECKING:
    from netmap_io.port import Port

__all__ = ["DOWNLINK_PORT", "UPLINK_PORT", "Clock", "Outlet", "receiving_port", "sending_port"]

UPLINK_PORT: Final = "7000"
DOWNLINK_PORT: Final = "7001"
_HERE = "127.0.0.1"


class Clock:
    """Nanoseconds since 1970 that never go back, even where the machine's clock is set."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Now."""
        return time.monotonic_ns() + self._offset


def receiving_port(word: str, option: str, faults: dict[str, float] | None = None) -> Port:
    """A port to receive from.  Raises: UsageProblem: no address.  PortError: it does not open."""
    return _open(f"udp:{_HERE}:{word}" if word.isdecimal() else word, option, faults, sends=False)


def sending_port(word: str, option: str, faults: dict[str, float] | None = None) -> Port:
    """A port to send to; a UDP port where nobody listens yet is no error, as on a radio link."""
    return _open(
        f"udp:{_HERE}:{word}?mode=connect&connect=no" if word.isdecimal() else word, option, faults, sends=True
    )


def _open(address: str, option: str, faults: dict[str, float] | None, *, sends: bool) -> Port:
    from netmap_io.port import LinkType, open_port

    if not is_address(address):
        raise UsageProblem(
            f"{option} {address}: a number (UDP port of this machine) or the address of a port, as udp:host:7000"
        )
    used = {name: value for name, value in (faults or {}).items() if value}
    if used.keys() - {"seed"}:
        joint = "&" if "?" in address else "?"
        address = f"fault+{address}{joint}" + "&".join(f"{name}={value:g}" for name, value in used.items())
    port = open_port(address)
    can = port.capabilities
    if can.link_type is LinkType.ETHERNET or not (can.sends if sends else can.receives):
        why = "carries Ethernet frames" if can.link_type is LinkType.ETHERNET else "does not go in that direction"
        port.close()
        raise UsageProblem(f"{option} {address}: this port {why}")
    return port


class Outlet:
    """Blocks in order to a port that may have no room for now, or to a file; keeps what waits."""

    def __init__(self, port: Port | None, file: str | None = None) -> None:
        self._port = port
        self._file = None if file is None else open(file, "wb")  # noqa: SIM115 (closed by `close`)
        self._waiting: deque[bytes] = deque()
        self.octets = 0

    def send(self, blocks: Iterable[bytes]) -> None:
        """Send what waits and these."""
        self._waiting.extend(blocks)
        if self._file is not None:
            while self._waiting:
                self.octets += self._file.write(self._waiting.popleft())
            self._file.flush()
        elif self._port is not None and self._waiting:
            from netmap_io.burst import Burst

            taken = self._port.send(Burst.of(list(self._waiting)))
            for _ in range(taken):
                self.octets += len(self._waiting.popleft())
            self._port.flush()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def close(self) -> None:
        """Close the file; ports are closed by whoever opened them."""
        if self._file is not None:
            self._file.close()


@contextmanager
def closing(ports: Sequence[Port | None]) -> Iterator[None]:
    """Close them all at the end of the block."""
    try:
        yield
    finally:
        for port in ports:
            if port is not None:
                port.close()
