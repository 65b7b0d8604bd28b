"""What goes wrong with virtual functions, and each errno of the kernel's as one sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from netmap_io.errors import PortBusyError, PortError, PortPrivilegeError

if TYPE_CHECKING:
    from netmap_io.sriov.runner import Step

__all__ = ["SriovBusyError", "SriovError", "SriovPrivilegeError", "SriovRequestError", "explain"]


class SriovError(PortError):
    """The card or the kernel does not do what was asked.

    steps: what was done and taken back, where it came to that.
    """

    def __init__(self, message: str, steps: tuple[Step, ...] = ()) -> None:
        super().__init__(message)
        self.steps = steps


class SriovRequestError(SriovError, ValueError):
    """A request that does not hold; the message names the key."""


class SriovBusyError(SriovError, PortBusyError):
    """Somebody else is changing the same physical function."""


class SriovPrivilegeError(SriovError, PortPrivilegeError):
    """The process may not."""


# What is done, and the errno that comes back: why.  {subject} is what it is done to, {value} what was asked.
_REASONS: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {
        ("create", errno.EBUSY): "the number of virtual functions cannot be changed while there are any: remove them",
        ("create", errno.ERANGE): "{subject} has not so many: sriov_totalvfs says how many",
        ("create", errno.EINVAL): "the kernel does not take {value} for a number of virtual functions",
        ("create", errno.ENOMEM): "the firmware left no room for the virtual functions' memory or bus numbers: "
        "enable SR-IOV in it, or boot with pci=realloc",
        ("create", errno.ENOENT): "the driver of {subject} has no virtual functions",
        ("create", errno.ENOSYS): "the driver of {subject} has no virtual functions",
        ("create", errno.EOPNOTSUPP): "the driver of {subject} has no virtual functions",
        ("create", errno.EIO): "the card gave another number of virtual functions than was asked",
        ("remove", errno.EBUSY): "a virtual function is in use, by a guest perhaps",
        ("mac", errno.EINVAL): "the card takes no address {value}, or has no such virtual function",
        ("mac", errno.EADDRNOTAVAIL): "the physical function has given it another address, which it may not change",
        ("vlan", errno.EINVAL): "the card takes no VLAN {value}, or has no such virtual function",
        ("vlan", errno.EPROTONOSUPPORT): "the card knows no VLANs of that protocol for virtual functions",
        ("rate", errno.EINVAL): "the card takes no rate {value}: over the link's, or the link has no carrier",
        ("queues", errno.EINVAL): "{subject} has not so many queues",
        ("queues", errno.EOPNOTSUPP): "the number of queues of {subject} cannot be changed",
        ("probe", errno.EINVAL): "the driver refused {subject}; without an IOMMU vfio-pci takes none",
        ("probe", errno.ENODEV): "no loaded driver takes {subject}",
        ("unbind", errno.ENODEV): "{subject} has no driver any more",
        ("namespace", errno.ENOENT): "there is no network namespace {value}",
        ("namespace", errno.EINVAL): "{value} is no network namespace",
        ("namespace", errno.EEXIST): "the network namespace has an interface {subject} already",
        ("namespace", errno.EBUSY): "{subject} is in use",
        ("up", errno.EADDRNOTAVAIL): "{subject} has no valid address",
        ("up", errno.EIO): "the driver cannot start {subject}: is its physical function up?",
    }
)
_ANYWHERE: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.EPERM: "not permitted: run as root, or with CAP_NET_ADMIN and the right to write to /sys",
        errno.EACCES: "not permitted: run as root, or with CAP_NET_ADMIN and the right to write to /sys",
        errno.EROFS: "/sys is read-only here, as in a container",
        errno.EOPNOTSUPP: "the driver of {subject} does not have this setting",
        errno.EINVAL: "the driver refused the value {value}",
        errno.ENODEV: "{subject} is not there any more",
        errno.ENOENT: "{subject} is not there any more",
        errno.EBUSY: "{subject} is in use",
        errno.ETIMEDOUT: "the card does not answer",
    }
)


def explain(operation: str, number: int, subject: str = "it", value: object = "") -> str:
    """One sentence for what the kernel refused."""
    reason = _REASONS.get((operation, number)) or _ANYWHERE.get(number)
    name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
    if reason is None:
        reason = os.strerror(number).lower()
    return f"{reason.format(subject=subject, value=value)} ({name})"
