"""Short names for steps, so that a scenario reads as what it does."""

from __future__ import annotations

from typing import Any

Step = dict[str, Any]


def step(do: str, /, **arguments: Any) -> Step:
    return {"do": do, **arguments}


def register(fd: str, port: str, mode: int = 1, **body: Any) -> Step:
    return step("control", fd=fd, request="REGISTER", name=port, body={"mode": mode, **body})


def opened(fd: str, port: str, mode: int = 1, **body: Any) -> list[Step]:
    """Open, register, map."""
    return [step("open", fd=fd), register(fd, port, mode, **body), step("mmap", fd=fd)]


def closed(fd: str) -> list[Step]:
    return [step("munmap", fd=fd), step("close", fd=fd)]


def send(fd: str, slot: int, count: int, length: int = 60, ring: str = "t0", **frame: Any) -> list[Step]:
    """Fill slots with frames, hand them over, transmit sync."""
    name = f"{fd}.{ring}"
    return [
        step("frames", ring=name, slot=slot, count=count, length=length, **frame),
        step("advance", ring=name, count=count),
        step("txsync", fd=fd),
    ]


def receive(fd: str, ring: str = "r0") -> list[Step]:
    """Receive sync, then give all slots back (the next sync tells the kernel)."""
    return [step("rxsync", fd=fd), step("advance", ring=f"{fd}.{ring}")]
