"""The error family of the link layer: everything it raises on purpose derives from PortError."""

from __future__ import annotations

__all__ = [
    "CaptureDamagedError",
    "CaptureError",
    "CaptureTooLongError",
    "CaptureUnreadableError",
    "InterfaceDownError",
    "InterfaceError",
    "InterfaceVanishedError",
    "LentFrameError",
    "LinkTypeError",
    "NotACaptureError",
    "PortAddressError",
    "PortBusyError",
    "PortClosedError",
    "PortError",
    "PortPrivilegeError",
    "PortSystemError",
    "PortUnsupportedError",
]


class PortError(Exception):
    """Root of all that is raised on purpose; anything else that escapes is a defect of ours."""


class PortAddressError(PortError, ValueError):
    """An address for `open_port` that names no driver, or an option that the driver has not."""


class PortClosedError(PortError, ValueError):
    """A port used after its `close`."""


class PortBusyError(PortError):
    """Somebody else holds what the port needs."""


class PortPrivilegeError(PortError, PermissionError):
    """The process lacks a privilege; the message names it."""


class InterfaceError(PortError):
    """A network interface that is not there, or is of the wrong kind."""


class InterfaceDownError(InterfaceError):
    """The interface is down.  The port stays usable and goes on when the interface is up again."""


class InterfaceVanishedError(InterfaceError):
    """The interface is gone.  The port's counters stay; nothing more comes or goes through it."""


class PortUnsupportedError(PortError):
    """Something that this port cannot do by its nature."""


class PortSystemError(PortError):
    """What the operating system or the other end refused: no privilege, a busy port, an unknown host, a lost peer."""


class LinkTypeError(PortError, ValueError):
    """Frames of one link type given where another is needed."""


class LentFrameError(PortError, ValueError):
    """A lent burst, or a frame of one, used after its `with` block."""


class CaptureError(PortError):
    """A capture that cannot be read, or not read on.

    Attributes: message; octet_offset (of the uncompressed capture); path, or None where it has none.
    """

    def __init__(self, message: str, octet_offset: int = 0, path: str | None = None) -> None:
        super().__init__(message, octet_offset, path)
        self.message = message
        self.octet_offset = octet_offset
        self.path = path

    def __str__(self) -> str:
        return f"{self.path or 'capture'}, octet {self.octet_offset}: {self.message}"


class NotACaptureError(CaptureError):
    """Octets that are no pcap and no pcapng file."""

    def __str__(self) -> str:
        return f"{self.path or 'input'} is not a capture: {self.message}"


class CaptureDamagedError(CaptureError):
    """A block or record that contradicts itself or the format; the frames before it have been given."""


class CaptureTooLongError(CaptureDamagedError):
    """A block or record that claims more octets than `maximum_block_octets`."""


class CaptureUnreadableError(CaptureError):
    """The operating system refused."""

    def __str__(self) -> str:
        return f"cannot use {self.path or 'the capture'}: {self.message}"
