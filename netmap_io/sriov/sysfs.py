"""The first seam: what /sys says of PCI functions and their virtual functions, and what is written there.

Writes give the kernel's own errno as an OSError; `explain` has the sentences.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

__all__ = ["Sysfs"]

_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


class Sysfs:
    """`root` is another directory in tests only."""

    def __init__(self, root: str | Path = "/sys") -> None:
        self.root = Path(root)
        self.devices = self.root / "bus/pci/devices"

    def read(self, address: str, name: str) -> str | None:
        """An attribute of a PCI function; None where it has none, or tells it to nobody like us."""
        try:
            return (self.devices / address / name).read_text(encoding="utf-8").strip()
        except OSError:
            return None

    def number(self, address: str, name: str) -> int | None:
        text = self.read(address, name)
        return int(text) if text is not None and text.isdecimal() else None

    def write(self, path: str, text: str) -> None:
        """Write to a path below the root, in one call, as these files want it.  Raises OSError."""
        descriptor = os.open(self.root / path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def write_attribute(self, address: str, name: str, text: str) -> None:
        self.write(f"bus/pci/devices/{address}/{name}", text)

    def physical_functions(self) -> list[str]:
        """Addresses of functions of a network kind that can have virtual functions."""
        try:
            addresses = sorted(os.listdir(self.devices))
        except FileNotFoundError:
            return []
        return [each for each in addresses if self.number(each, "sriov_totalvfs") and self.has_network(each)]

    def has_network(self, address: str) -> bool:
        """Whether it is of PCI class 02 (network), whatever driver it has."""
        return (self.read(address, "class") or "").startswith("0x02")

    def address_of(self, interface_or_address: str) -> str | None:
        """The PCI address of an interface, or of itself; None where there is neither."""
        if _PCI_ADDRESS.fullmatch(interface_or_address):
            return interface_or_address if (self.devices / interface_or_address).exists() else None
        if "/" in interface_or_address or interface_or_address in ("", ".", ".."):
            return None
        name = os.path.basename(os.path.realpath(self.root / "class/net" / interface_or_address / "device"))
        return name if _PCI_ADDRESS.fullmatch(name) and (self.devices / name).exists() else None

    def interfaces(self, address: str) -> list[str]:
        """Names of a function's interfaces, of the network namespace that this /sys shows."""
        try:
            return sorted(os.listdir(self.devices / address / "net"))
        except OSError:
            return []

    def virtual_functions(self, address: str) -> dict[int, str]:
        """Index to PCI address, of the virtual functions that exist."""
        found = {}
        for number in range(self.number(address, "sriov_numvfs") or 0):
            link = self.devices / address / f"virtfn{number}"
            if link.is_symlink():
                found[number] = os.path.basename(os.readlink(link))
        return found

    def driver(self, address: str) -> str | None:
        """The driver that has the function."""
        link = self.devices / address / "driver"
        return os.path.basename(os.readlink(link)) if link.is_symlink() else None

    def override(self, address: str) -> str | None:
        text = self.read(address, "driver_override")
        return None if text in (None, "", "(null)") else text

    def has_driver(self, driver: str) -> bool:
        """Whether such a driver is loaded."""
        return (self.root / "bus/pci/drivers" / driver).is_dir()

    def unbind(self, address: str) -> None:
        driver = self.driver(address)
        if driver is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self.write(f"bus/pci/drivers/{driver}/unbind", address)

    def probe(self, address: str) -> None:
        """Offer the function to the drivers; says nothing about whether one took it."""
        self.write("bus/pci/drivers_probe", address)
