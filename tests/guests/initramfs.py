"""What a guest's kernel boots from: busybox, the modules that are asked for, and an init that runs one command.

The host's root is mounted read-only over virtio-9p with a layer of memory above it, so that the command finds the
machine's own files, this project's environment among them, and may write anywhere without the host noticing.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["ROOT_MODULES", "module_files", "pack"]

ROOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""Modules without which the host's root cannot be mounted."""

INIT = """#!/bin/busybox sh
# Process 1.  The report goes to the second serial line, the kernel's words and the command's errors to the first.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /host /layer /new
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox stty -F /dev/ttyS1 raw -echo
say() { echo "guest: $*" >/dev/ttyS1; }
leave() { /bin/busybox sync; /bin/busybox poweroff -f; }
for module in $(/bin/busybox cat /modules/order); do
    /bin/busybox insmod "/modules/$module" || { say "module $module was refused"; leave; }
done
options=trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288
/bin/busybox mount -t 9p -o $options host /host || { say "the host's root cannot be mounted"; leave; }
/bin/busybox mount -t tmpfs tmpfs /layer
/bin/busybox mkdir /layer/upper /layer/work
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /new ||
    { say "no layer above the host's root"; leave; }
for directory in proc sys dev; do
    /bin/busybox mkdir -p /new/$directory
    /bin/busybox mount -o bind /$directory /new/$directory
done
/bin/busybox mount -t tmpfs tmpfs /new/run
/bin/busybox ln -sf /proc/self/fd /dev/fd
/bin/busybox mkdir -p /dev/shm
/bin/busybox mount -t tmpfs tmpfs /dev/shm
/bin/busybox ip link set lo up
say "running"
/bin/busybox mkfifo /report # a pipe, because a program that sees a terminal adorns what it prints
/bin/busybox cat /report >/dev/ttyS1 &
/bin/busybox chroot /new /bin/sh -c "$(/bin/busybox cat /command)" </dev/null >/report 2>/dev/console
code=$?
wait
say "exit code $code"
leave
"""


def pack(
    *,
    busybox: Path,
    modules: Sequence[Path],
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> bytes:
    """A compressed archive for the kernel.  modules: files, loaded in this order; command: run in `directory`."""
    assignments = [f"{name}={value}" for name, value in (environment or {}).items()]
    line = f"cd {shlex.quote(str(directory))} && exec {shlex.join(['env', *assignments, *command])}"
    names = [path.name.removesuffix(".xz") for path in modules]
    entries: list[tuple[str, int, bytes]] = [
        ("bin", 0o040755, b""),
        ("bin/busybox", 0o100755, busybox.read_bytes()),
        ("bin/sh", 0o120777, b"busybox"),
        ("init", 0o100755, INIT.encode()),
        ("command", 0o100644, line.encode()),
        ("modules", 0o040755, b""),
        ("modules/order", 0o100644, "\n".join(names).encode()),
    ]
    entries += [(f"modules/{name}", 0o100644, _octets(path)) for name, path in zip(names, modules, strict=True)]
    archive = b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))
    return gzip.compress(archive + _entry(0, "TRAILER!!!", 0, b""), 1)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    """One file in the format `newc` of cpio: thirteen hexadecimal numbers; name and content padded to four octets."""
    path = name.encode() + b"\0"
    links, owner, device, checksum = 1, (0, 0), (0, 0, 0, 0), 0
    numbers = (number, mode, *owner, links, 0, len(content), *device, len(path), checksum)
    head = b"070701" + b"".join(b"%08X" % each for each in numbers) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def module_files(directory: Path, names: Iterable[str]) -> list[Path]:
    """Files of modules, each after those that it needs; `directory` is lib/modules/<release>.

    A module that is built into the kernel needs no file.  Raises LookupError for one that the kernel does not have.
    """
    files = {_module_name(path.name): path for path in (directory / "kernel").rglob("*.ko*")}
    built_in = {_module_name(Path(line).name) for line in (directory / "modules.builtin").read_text().splitlines()}
    found: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in built_in or name in found:
            return
        if name not in files:
            raise LookupError(f"the kernel has no module {name}")
        for needed in _needed(files[name]):
            add(needed)
        found[name] = files[name]

    for name in names:
        add(_module_name(name))
    return list(found.values())


def _needed(path: Path) -> list[str]:
    """Modules that one names as its needs, in the octets of its .modinfo."""
    text = re.search(rb"\0depends=([^\0]*)\0", _octets(path))
    return [_module_name(name) for name in text[1].decode().split(",") if name] if text else []


def _module_name(file_name: str) -> str:
    return file_name.partition(".")[0].replace("-", "_")


def _octets(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
