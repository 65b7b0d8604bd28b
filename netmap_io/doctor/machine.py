"""The machine as a whole: kernel, privileges, memory, and the devices that drivers need."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import resource
import socket
import struct
from pathlib import Path

from netmap_io.doctor import af_xdp
from netmap_io.doctor.finding import Finding, State, read_text

__all__ = ["capabilities", "findings"]

_CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_ADMIN": 21, "BPF": 39}
_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3 = 263, 10, 2
_TUNGETFEATURES = 0x800454CF
_ENOUGH_RECEIVE_BUFFER = 4 << 20
_ENOUGH_LOCKED = 64 << 20


def findings() -> list[Finding]:
    """About everything that is no interface."""
    return [
        _kernel(),
        _namespace(),
        *_privileges(),
        _af_packet(),
        _af_xdp(),
        _tap(),
        _netmap(),
        _iommu(),
        *_memory(),
        _receive_buffer(),
    ]


def capabilities() -> set[str]:
    """Those of this process that matter here, in effect."""
    status = read_text("/proc/self/status") or ""
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    bits = int(line.split()[1], 16)
    return {name for name, bit in _CAPABILITIES.items() if bits >> bit & 1}


def _finding(name: str, state: State, fact: str, advice: str = "") -> Finding:
    return Finding(subject="machine", name=name, state=state, fact=fact, advice=advice)


def _version() -> tuple[int, int]:
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in platform.release().split("-")[0].split(".")[:2]]
    return numbers[0], numbers[1] if len(numbers) > 1 else 0


def _kernel() -> Finding:
    version = _version()
    fact = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"
    if version < (5, 4):
        return _finding("kernel", State.LIMITED, fact, "AF_XDP with need-wakeup begins with Linux 5.4")
    return _finding("kernel", State.GOOD, fact)


def _namespace() -> Finding:
    try:
        own, first = os.readlink("/proc/self/ns/net"), os.readlink("/proc/1/ns/net")
    except OSError:
        return _finding("network namespace", State.UNKNOWN, "whether it is the machine's own may not be looked at")
    if own == first:
        return _finding("network namespace", State.GOOD, "the one of process 1")
    return _finding("network namespace", State.GOOD, "one of its own: only its interfaces are seen")


def _privileges() -> list[Finding]:
    have = capabilities()
    found = []
    for name, use in (
        ("NET_RAW", "packet and af_xdp ports"),
        ("NET_ADMIN", "XDP programs, tap devices, promiscuous mode"),
        ("BPF", "loading an XDP program"),
        ("IPC_LOCK", "ring memory beyond the locked memory limit"),
    ):
        there = name in have or (name == "BPF" and "SYS_ADMIN" in have)
        fact = f"{'held' if there else 'not held'}; for {use}"
        advice = "" if there else f"run as root, or setcap cap_{name.lower()}+ep on the interpreter"
        found.append(_finding(f"CAP_{name}", State.GOOD if there else State.LIMITED, fact, advice))
    return found


def _af_packet() -> Finding:
    """A socket of protocol 0 receives nothing: making one is harmless."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
    except PermissionError:
        return _finding("AF_PACKET", State.ABSENT, "not permitted (tried)", "run as root, or give CAP_NET_RAW")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        return _finding("AF_PACKET", State.ABSENT, f"{reason} (tried)", "a kernel with CONFIG_PACKET is needed")
    return _finding("AF_PACKET", State.GOOD, "works, with TPACKET_V3 (tried)")


def _af_xdp() -> Finding:
    number = af_xdp.try_socket()
    if number == 0:
        return _finding("AF_XDP", State.GOOD, "the kernel has it (tried); modes are with each interface")
    if number in (errno.EPERM, errno.EACCES):
        advice = "run as root, or give CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF"
        return _finding("AF_XDP", State.ABSENT, "not permitted (tried)", advice)
    advice = "a kernel with CONFIG_XDP_SOCKETS=y is needed"
    return _finding("AF_XDP", State.ABSENT, f"{af_xdp.reason(number)} (tried)", advice)


def _tap() -> Finding:
    """Opening the device makes no interface; asking for its features neither."""
    path = "/dev/net/tun"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _finding("tap", State.ABSENT, f"there is no {path}", "modprobe tun")
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        return _finding("tap", State.ABSENT, f"{path}: {reason} (tried)", f"permission to open {path} is needed")
    try:
        answer = fcntl.ioctl(descriptor, _TUNGETFEATURES, bytes(4))
    except OSError:
        return _finding("tap", State.UNKNOWN, f"{path} opens, but does not tell its features (tried)")
    finally:
        os.close(descriptor)
    several = ", several queues" if struct.unpack("=I", answer)[0] & 0x0100 else ""
    if "NET_ADMIN" not in capabilities():
        advice = "run as root, or have the device made for you: ip tuntap add NAME mode tap user YOU"
        return _finding("tap", State.LIMITED, f"{path} opens (tried); making a device is not permitted", advice)
    return _finding("tap", State.GOOD, f"{path} opens{several} (tried)")


def _netmap() -> Finding:
    path = "/dev/netmap"
    if not os.path.exists(path):
        loaded = any(line.startswith("netmap ") for line in (read_text("/proc/modules") or "").splitlines())
        fact = f"there is no {path}" + (", though the module is loaded" if loaded else "")
        advice = "build netmap for this kernel and modprobe netmap; AF_XDP comes near it without a module"
        return _finding("netmap", State.ABSENT, fact, advice)
    if not os.access(path, os.R_OK | os.W_OK):
        return _finding(
            "netmap", State.ABSENT, f"{path} is there, not permitted", f"chmod 660 {path}, and join its group"
        )
    return _finding("netmap", State.GOOD, f"{path} is there")


def _iommu() -> Finding:
    try:
        groups = len(os.listdir("/sys/kernel/iommu_groups"))
    except OSError:
        groups = 0
    if groups:
        return _finding("IOMMU", State.GOOD, f"{groups} groups: virtual functions can be given away safely")
    advice = "intel_iommu=on or amd_iommu=on on the kernel's command line, and VT-d or AMD-Vi in the firmware"
    return _finding("IOMMU", State.ABSENT, "no groups: virtual functions cannot be given to guests", advice)


def _memory() -> list[Finding]:
    found = []
    sizes = sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB"))
    told = []
    free_pages = 0
    for size in sizes:
        pages, free = read_text(f"{size}/nr_hugepages") or "0", read_text(f"{size}/free_hugepages") or "0"
        told.append(f"{free} of {pages} free of {int(size.name[10:-2]) // 1024} MiB")
        free_pages += int(free)
    if not sizes:
        found.append(_finding("huge pages", State.UNKNOWN, "the kernel does not tell"))
    else:
        state, advice = State.GOOD, ""
        if not free_pages:
            state, advice = State.LIMITED, "sysctl vm.nr_hugepages=64, for large rings with fewer page table misses"
        found.append(_finding("huge pages", state, ", ".join(told), advice))
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:
        found.append(_finding("locked memory", State.GOOD, "no limit"))
    else:
        enough = soft >= _ENOUGH_LOCKED or "IPC_LOCK" in capabilities()
        advice = "" if enough else "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service"
        fact = f"at most {soft // 1024} KiB" + (", which CAP_IPC_LOCK lifts" if "IPC_LOCK" in capabilities() else "")
        found.append(_finding("locked memory", State.GOOD if enough else State.LIMITED, fact, advice))
    return found


def _receive_buffer() -> Finding:
    text = read_text("/proc/sys/net/core/rmem_max")
    if text is None or not text.isdigit():
        return _finding("socket buffers", State.UNKNOWN, "net.core.rmem_max is not told in this namespace")
    octets = int(text)
    if octets >= _ENOUGH_RECEIVE_BUFFER:
        return _finding("socket buffers", State.GOOD, f"up to {octets // 1024} KiB for receiving")
    advice = f"sysctl net.core.rmem_max={_ENOUGH_RECEIVE_BUFFER}, to lose fewer datagrams in bursts"
    return _finding("socket buffers", State.LIMITED, f"up to {octets // 1024} KiB for receiving", advice)
