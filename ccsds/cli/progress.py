"""A progress bar on standard error: octets, rate, time left, and what was lost so far."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ccsds.cli.inputs import Source
from ccsds.cli.style import error_console

__all__ = ["progress_bar"]

LOSSES_SECONDS = 0.5
"""How often the losses are counted up anew."""
NAME_COLUMNS = 16
"""All of a bar is to fit into one line of 80 columns."""


@contextmanager
def progress_bar(source: Source, losses: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Show how far `source` is; call what is given after each piece."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[losses]}", markup=False),
    )
    with Progress(*columns, console=error_console(), transient=True) as bar:
        task = bar.add_task(_short(source.name), total=source.octets_total, losses="")
        told = 0.0

        def tick() -> None:
            nonlocal told
            bar.update(task, completed=source.octets_read)
            if (now := time.monotonic()) - told > LOSSES_SECONDS:
                told = now
                bar.update(task, losses=losses())

        yield tick


def _short(name: str) -> str:
    """The end of a path, which tells recordings apart."""
    last = os.path.basename(name) or name
    return last if len(last) <= NAME_COLUMNS else "…" + last[1 - NAME_COLUMNS :]
