"""Where the simulated kernel side is known to do otherwise than the real module did.

A row goes as soon as the simulation does as recorded: its test then fails, because it passes.
"""

from __future__ import annotations

from collections.abc import Mapping

DEPARTURES: Mapping[str, str] = {}
