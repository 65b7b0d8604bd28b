"""The scenarios, one module for each subject; each gives its list when called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..transcript import Scenario
from . import control, devices, errors, memory, pipes, vale

SUBJECTS: Mapping[str, Callable[[], list[Scenario]]] = {
    "errors": errors.scenarios,
    "memory": memory.scenarios,
    "pipes": pipes.scenarios,
    "vale": vale.scenarios,
    "control": control.scenarios,
    "devices": devices.scenarios,
}
