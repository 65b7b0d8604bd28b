"""Hypothesis without deadlines: a busy machine is no failure.  And pairs of interfaces to drive real ports with."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(status: int) -> None:
    if status:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _present_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _coming_back() -> Iterator[None]:
    """This thread is in the same network namespace after the block as before."""
    before = _present_namespace()
    try:
        yield
    finally:
        _checked(_LIBC.setns(before, _NEW_NETWORK))
        os.close(before)


class VethPair:
    """Two interfaces, `near` and `far`, wired to each other in a network namespace that nobody else sees.

    The namespace has no name: it and its interfaces go with the last descriptor and socket, whatever happens.
    """

    near, far = "near", "far"

    def __init__(self) -> None:
        with _coming_back():
            _checked(_LIBC.unshare(_NEW_NETWORK))
            self._own = _present_namespace()
        self.add()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets and child processes made within the block are in the namespace."""
        with _coming_back():
            _checked(_LIBC.setns(self._own, _NEW_NETWORK))
            yield

    def ip(self, *arguments: str) -> str:
        with self.inside():
            return subprocess.run(["ip", *arguments], check=True, timeout=30, stdout=subprocess.PIPE, text=True).stdout

    def add(self, mtu: int = 1500, queues: int = 2) -> None:
        """Make the pair; without IPv6 addresses, so that it is silent by itself."""
        count = ("numrxqueues", str(queues), "numtxqueues", str(queues))
        self.ip("link", "add", self.near, *count, "type", "veth", "peer", "name", self.far, *count)
        for name in (self.near, self.far):
            self.ip("link", "set", name, "addrgenmode", "none", "mtu", str(mtu), "up")

    def close(self) -> None:
        os.close(self._own)


@pytest.fixture
def veth() -> Iterator[VethPair]:
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed")
    pair = VethPair()
    yield pair
    pair.close()
