"""Whether AF_XDP works here: a socket is made and bound in copy mode, with no program loaded, and closed again.

That changes nothing for the interface: in copy mode the driver is not asked; the queue is free again after a few
milliseconds.  Zero-copy is not tried, because for it
some drivers reset a queue; what the driver declares is read instead (`netdev`).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import time

__all__ = ["try_copy_mode", "try_socket"]

_AF_XDP, _SOL_XDP = 44, 283
_RX_RING, _UMEM_REG, _UMEM_FILL_RING, _UMEM_COMPLETION_RING = 2, 4, 5, 6
_COPY = 1 << 1
_CHUNK_OCTETS, _CHUNKS = 4096, 16
_TRIES, _PAUSE_S = 21, 0.025


def try_socket() -> int:
    """0, or the errno with which an AF_XDP socket is refused."""
    try:
        socket.socket(_AF_XDP, socket.SOCK_RAW, 0).close()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def try_copy_mode(interface_index: int, queue: int = 0) -> int:
    """0, or the errno with which a socket cannot be bound to a queue.

    The kernel frees a queue a few milliseconds after its socket was closed: EBUSY is asked again for half a second.
    """
    for _ in range(_TRIES):
        number = _bind(interface_index, queue)
        if number != errno.EBUSY:
            break
        time.sleep(_PAUSE_S)
    return number


def _bind(interface_index: int, queue: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    memory = mmap.mmap(-1, _CHUNK_OCTETS * _CHUNKS)
    base = ctypes.c_char.from_buffer(memory)
    try:
        with socket.socket(_AF_XDP, socket.SOCK_RAW, 0) as xdp:
            region = struct.pack("=QQIIII", ctypes.addressof(base), len(memory), _CHUNK_OCTETS, 0, 0, 0)
            xdp.setsockopt(_SOL_XDP, _UMEM_REG, region)
            for ring in (_UMEM_FILL_RING, _UMEM_COMPLETION_RING, _RX_RING):
                xdp.setsockopt(_SOL_XDP, ring, struct.pack("=I", _CHUNKS))
            address = struct.pack("=HHIII", _AF_XDP, _COPY, interface_index, queue, 0)
            if libc.bind(xdp.fileno(), address, len(address)):
                return ctypes.get_errno()
            return 0
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        del base
        memory.close()


def reason(number: int) -> str:
    """The errno in the system's words."""
    return os.strerror(number).lower()
