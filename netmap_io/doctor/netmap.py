"""How netmap would serve an interface: natively, in emulation, or not at all.

A driver with netmap in it calls the module's functions, so the kernel counts it among the module's holders: that, and
nothing that we remember of drivers, is what "native" stands on.  Nothing is registered to find out, because that
takes the interface from whoever uses it.
"""

from __future__ import annotations

import os

from netmap_io.doctor.finding import Finding, State, read_text

__all__ = ["finding"]

_NATIVE_ONLY, _EMULATED_ONLY = "1", "2"


def finding(interface: str, driver: str | None, *, sys: str = "/sys", device: str = "/dev/netmap") -> Finding:
    """Of an Ethernet interface.  sys and device are other paths in tests only."""

    def told(state: State, fact: str, advice: str = "") -> Finding:
        return Finding(subject=interface, name="netmap", state=state, fact=fact, advice=advice)

    if not os.path.exists(device):
        return told(State.ABSENT, f"none: there is no {device}", "modprobe netmap, once it is built for this kernel")
    if not os.access(device, os.R_OK | os.W_OK):
        return told(State.ABSENT, f"none: {device} is not permitted", f"chmod 660 {device}, and join its group")
    holders = _names(f"{sys}/module/netmap/holders")
    mode = read_text(f"{sys}/module/netmap/parameters/admode")
    if holders is None or driver is None:
        what = "the module tells nobody who uses it" if holders is None else "the driver is not told"
        return told(State.UNKNOWN, f"{what}: native or emulated shows when a port is opened")
    name = _module(interface, driver, sys)
    if name in holders:
        if mode == _EMULATED_ONLY:
            return told(State.LIMITED, f"emulated: {name} has netmap, but admode=2 forbids it", _write(0))
        return told(State.GOOD, f"native: the loaded driver {name} has netmap in it (not tried)")
    if mode == _NATIVE_ONLY:
        return told(State.ABSENT, f"none: {name} has no netmap in it, and admode=1 forbids emulation", _write(0))
    advice = "netmap's own build of the driver, where it has one; af_xdp comes near it without"
    return told(State.LIMITED, f"emulated: the loaded driver {name} has no netmap in it (not tried)", advice)


def _write(mode: int) -> str:
    return f"echo {mode} > /sys/module/netmap/parameters/admode"


def _names(folder: str) -> set[str] | None:
    try:
        return set(os.listdir(folder))
    except OSError:
        return None


def _module(interface: str, driver: str, sys: str) -> str:
    """The module of a driver; it may be called otherwise than the driver calls itself."""
    link = f"{sys}/class/net/{interface}/device/driver/module"
    return os.path.basename(os.path.realpath(link)) if os.path.exists(link) else driver.replace("-", "_")
