"""Where the simulated kernel side is known to do otherwise than the real module did.

A row goes as soon as the simulation does as recorded: its test then fails, because it passes.
"""

from __future__ import annotations

from collections.abc import Mapping

_MONITORS = "monitors are not simulated"

DEPARTURES: Mapping[str, str] = {
    **{f"control: a monitor of a VALE port, {way}": _MONITORS for way in ("transmit", "receive", "both")},
    **{f"control: a monitor of a pipe, {way}": _MONITORS for way in ("transmit", "receive", "both")},
    "control: a monitor of a pipe, both, without a copy": _MONITORS,
    **{f"devices: a monitor, flags {flags:#x}": _MONITORS for flags in (0x100, 0x200, 0x300)},
}
