"""Payloads out of captured frames, and frames around payloads."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from netmap_io import _native
from netmap_io.burst import ETHERNET, RAW_OCTETS, Burst
from netmap_io.errors import PortError

__all__ = ["PROTOCOLS", "PayloadError", "PayloadExtractor", "udp_frames"]

PROTOCOLS = ("auto", "udp", "tcp", "ethernet", "raw")
_LARGEST = 2**63 - 1


class PayloadError(PortError, ValueError):
    """A choice of payloads that makes no sense, or a payload that fits no frame."""


class PayloadExtractor:
    """Takes payloads out of frames, burst by burst, and counts everything that it passes over.

    Link headers known: Ethernet (any number of VLAN tags, SNAP), Linux cooked 1 and 2, raw IP, null and loopback, and
    the sixteen private numbers, whose record is the payload.  IPv4 and IPv6 fragments are put together (at most 16 MiB
    and 1024 datagrams wait, each for 10 000 frames).  TCP streams are put in order, each direction for itself: up to
    1 MiB of a stream waits for what is missing, then the hole is counted.  No checksum is looked at.
    """

    def __init__(
        self, protocol: str = "auto", port: int | None = None, offset: int = 0, length: int | None = None
    ) -> None:
        """Choose the payloads.

        protocol: auto: UDP data where the frame is UDP, the record where its link type is private; udp; tcp: the
        streams, in pieces in order; ethernet: what follows the link header; raw: the whole record.  port: source or
        destination, UDP and TCP.  offset, length: the part payload[offset:offset + length] of each payload (for TCP, of
        each piece: one segment's new octets).
        """
        if protocol not in PROTOCOLS:
            raise PayloadError(f"protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}")
        if port is not None and not 0 <= port <= 0xFFFF:
            raise PayloadError(f"a port is a number from 0 to 65535, not {port}")
        if port is not None and protocol in ("ethernet", "raw"):
            raise PayloadError(f"protocol {protocol} has no ports to choose from")
        if not 0 <= offset <= _LARGEST or (length is not None and not 1 <= length <= _LARGEST):
            raise PayloadError("offset is 0 or more, length 1 or more")
        self.protocol = protocol
        self._native = _native.PayloadExtractor(protocol, port, offset, length)

    def feed(self, burst: Burst) -> Burst:
        """The payloads in `burst`, in order, with the times of the frames that completed them.

        The payloads' `interfaces` column is the frames', and for TCP the number of the stream (see `flows`).
        """
        columns = self._native.feed(burst.columns(), burst.link_types, burst.interfaces)
        return Burst.of_native(columns, RAW_OCTETS)

    def finish(self) -> Burst:
        """What TCP streams still hold back, holes counted; fragments that wait are given up and counted."""
        return Burst.of_native(self._native.finish(), RAW_OCTETS)

    @property
    def counters(self) -> dict[str, int]:
        """The account: frames = those that gave payloads, were passed over (one counter each), or were fragments."""
        return self._native.counters()

    @property
    def flows(self) -> dict[int, str]:
        """Number to "address:port > address:port" of the TCP streams under way."""
        found = {}
        for number, (source, source_port, destination, destination_port) in self._native.flows().items():
            ends = (ip_address(source), source_port), (ip_address(destination), destination_port)
            found[number] = " > ".join(
                f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}" for address, port in ends
            )
        return found


def udp_frames(
    burst: Burst,
    *,
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    port: int = 5000,
    source_port: int | None = None,
    source_mac: bytes = bytes.fromhex("020000000001"),
    destination_mac: bytes = bytes.fromhex("020000000002"),
    first_identification: int = 0,
) -> Burst:
    """Ethernet frames with each of `burst` as UDP data, checksums included, for a capture.

    One unfragmented IPv4 packet each: up to 65507 octets of payload, which is more than Ethernet itself carries.
    Times are kept.  Raises PayloadError: a payload that is longer, or an address that is none.
    """
    try:
        addresses = (IPv4Address(source).packed, IPv4Address(destination).packed)
    except ValueError as error:
        raise PayloadError(f"not an IPv4 address: {error}") from None
    ports = (port if source_port is None else source_port, port)
    for number in (*ports, first_identification):
        if not 0 <= number <= 0xFFFF:
            raise PayloadError(f"ports and the identification have 16 bits, {number} has not")
    if len(source_mac) != 6 or len(destination_mac) != 6:
        raise PayloadError("a MAC address has 6 octets")
    try:
        columns = _native.udp_frames(
            burst.columns(), source_mac, destination_mac, *addresses, *ports, first_identification
        )
    except ValueError as error:
        raise PayloadError(str(error)) from None
    return Burst.of_native(columns, ETHERNET)
