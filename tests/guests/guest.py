"""A guest that boots, runs one command and is gone.

packages = fetch()
modules = module_files(packages.modules, [*ROOT_MODULES, "igb", "igbvf"])
initramfs = pack(busybox=packages.busybox, modules=modules, command=["netmap-io", "sriov", "list"], directory=here)
outcome = Guest(packages.emulator(), packages.kernel, initramfs, igb_cards(1), timeout_s=90).run()
outcome.lines    # what the command printed
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Guest", "GuestError", "Outcome", "igb_cards"]

_TOLD = 40
"""Lines of a guest's last words that an error repeats."""


class GuestError(Exception):
    """The guest did not come to the end of its command; the message ends with its last words."""


@dataclass(frozen=True)
class Outcome:
    """What a guest left."""

    lines: list[str]
    """The command's standard output."""
    exit_code: int
    console: list[str]
    """The kernel's messages and the command's standard error."""
    seconds: float
    seconds_to_command: float
    """From the start of the emulator to the start of the command."""


@dataclass(frozen=True)
class Guest:
    """A machine without a disk.

    emulator: the beginning of the command line.  devices: the rest of it, cards mostly.
    memory_mib, processors: of the guest.  timeout_s: after which it is killed.
    """

    emulator: Sequence[str]
    kernel: Path
    initramfs: bytes
    devices: Sequence[str] = ()
    timeout_s: float = 90.0
    memory_mib: int = 1024
    processors: int = 2
    root: Path = field(default=Path("/"))
    """Of the host, as the guest sees it, read-only."""

    def run(self) -> Outcome:
        """Boot, run, wait for the end.  Raises GuestError."""
        with tempfile.TemporaryDirectory(prefix="guest-") as name:
            return self._run(Path(name))

    def _run(self, directory: Path) -> Outcome:
        initramfs, console, report = (directory / name for name in ("initramfs", "console", "report"))
        initramfs.write_bytes(self.initramfs)
        report.touch()
        line = self._command_line(initramfs, report)
        begin = time.monotonic()
        started_s = 0.0
        with console.open("wb") as words:
            emulator = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
            try:
                while emulator.poll() is None and time.monotonic() - begin < self.timeout_s:
                    if not started_s and report.stat().st_size:
                        started_s = time.monotonic() - begin
                    time.sleep(0.02)
                hung = emulator.poll() is None
            finally:
                emulator.kill()
                emulator.wait()
        seconds = time.monotonic() - begin
        return self._outcome(_lines(report), _lines(console), seconds, started_s, hung)

    def _outcome(self, report: list[str], console: list[str], seconds: float, started_s: float, hung: bool) -> Outcome:
        last = report[-1] if report else ""
        if not last.startswith("guest: exit code "):
            what = (
                f"was killed after {seconds:.0f} s" if hung else f"ended after {seconds:.0f} s before its command did"
            )
            words = "\n".join([*console[-_TOLD:], "--- report", *report[-_TOLD:]])
            raise GuestError(f"the guest {what}; its last words:\n{words}")
        return Outcome(
            lines=[line for line in report if not line.startswith("guest: ")],
            exit_code=int(last.rpartition(" ")[2]),
            console=console,
            seconds=seconds,
            seconds_to_command=started_s,
        )

    def _command_line(self, initramfs: Path, report: Path) -> list[str]:
        """Software emulation is asked for by name: where virtualisation is half there, KVM may hang."""
        return [
            *self.emulator,
            *("-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max"),
            *("-smp", str(self.processors), "-m", str(self.memory_mib)),
            *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
            *("-kernel", str(self.kernel), "-initrd", str(initramfs)),
            *("-append", "console=ttyS0 quiet loglevel=4 panic=1 net.ifnames=0"),
            *("-serial", "stdio", "-serial", f"file:{report}"),
            *("-fsdev", f"local,id=host,path={self.root},security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
            *self.devices,
        ]


def igb_cards(count: int) -> list[str]:
    """Devices: Intel 82576 cards with seven virtual functions each, all on one cable."""
    words: list[str] = []
    for number in range(1, count + 1):
        words += [
            *("-device", f"pcie-root-port,id=port{number},chassis={number},slot={number}"),
            *("-netdev", f"hubport,hubid=0,id=cable{number}"),
            *("-device", f"igb,bus=port{number},netdev=cable{number},mac=52:54:00:00:00:{number:02x}"),
        ]
    return words


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").replace("\r", "").splitlines()
