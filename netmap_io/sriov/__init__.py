"""Virtual functions of SR-IOV cards: asked for as one declarative request, applied in the order that works.

    request = request_from_toml("link.toml")
    with lock(request.physical_function):
        apply(request, report=print)

`request` says what is wanted, `state` what there is, `planner` compares the two, `actions` change one thing each,
`runner` runs them and takes them back on failure.  The kernel is behind two narrow seams, `sysfs` and `links`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netmap_io.sriov.request import Request, Settings, VirtualFunction, request_from_dict, request_from_toml
    from netmap_io.sriov.runner import Result, Step, StepState, apply, delete, plan
    from netmap_io.sriov.state import PhysicalFunctionState, VirtualFunctionState, observe, observe_all

__all__ = [
    "PhysicalFunctionState",
    "Request",
    "Result",
    "Settings",
    "Step",
    "StepState",
    "VirtualFunction",
    "VirtualFunctionState",
    "apply",
    "delete",
    "observe",
    "observe_all",
    "plan",
    "request_from_dict",
    "request_from_toml",
]

_HOMES = {
    **dict.fromkeys(("Request", "Settings", "VirtualFunction", "request_from_dict", "request_from_toml"), "request"),
    **dict.fromkeys(("PhysicalFunctionState", "VirtualFunctionState", "observe", "observe_all"), "state"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'runner')}"), name)
