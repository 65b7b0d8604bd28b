"""A link layer: one port contract, pluggable drivers.  Knows no CCSDS."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netmap_io.burst import Burst
    from netmap_io.payload import PayloadExtractor, udp_frames
    from netmap_io.port import Capabilities, Counters, LinkType, Port, open_port

__all__ = [
    "Burst",
    "Capabilities",
    "Counters",
    "LinkType",
    "PayloadExtractor",
    "Port",
    "open_port",
    "udp_frames",
]

_HOMES = {"Burst": "burst", "PayloadExtractor": "payload", "udp_frames": "payload"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'port')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
