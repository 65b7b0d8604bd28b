"""The same tests on the simulated kernel side and, where it is, on the module's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .raw import DeviceKernel, Kernel, Port, SimulatedKernel


@pytest.fixture(params=["simulation", "device"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if request.param == "simulation":
        return SimulatedKernel()
    if not os.path.exists("/dev/netmap"):
        pytest.skip("no /dev/netmap here")
    return DeviceKernel()


class Ports:
    """Opens ports, closed at the end of the test."""

    def __init__(self, kernel: Kernel, stack: ExitStack) -> None:
        self.kernel, self._stack = kernel, stack

    def __call__(self, name: str, options: int = 0, **wish: Any) -> Port:
        port = Port(self.kernel, name, options, **wish)
        self._stack.callback(port.close)
        return port


@pytest.fixture
def ports(kernel: Kernel) -> Iterator[Ports]:
    with ExitStack() as stack:
        yield Ports(kernel, stack)
