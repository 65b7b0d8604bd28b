"""What happened to frames over time, as bars and marks in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.text import Text

__all__ = ["Bars", "Marks", "draw"]

WIDEST = 100
LABEL_COLUMNS = 18
BAR_LINES = 6
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_EIGHTHS: Final = " ...::||#"


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of each frame; a column shows the highest of its frames."""

    label: str
    values: NDArray[np.int64]
    style: str = "green"


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """What befell some frames; a column shows the mark where it befell one of its frames."""

    label: str
    where: NDArray[np.bool_]
    mark: str
    ascii_mark: str
    style: str = "bold red"
    told: str = ""


def draw(console: Console, times_s: NDArray[np.float64], bars: Bars, rows: Sequence[Marks]) -> None:
    """Draw against the time of each frame, as wide as the console allows; nothing where there are no frames."""
    import numpy as np

    if not len(times_s):
        return
    unicode = console.encoding.lower().startswith("utf")
    told = max([len(row.told) for row in rows], default=0) + 2
    columns = max(min(WIDEST, console.width - LABEL_COLUMNS - told), 10)
    start, end = float(times_s.min()), float(times_s.max())
    place = np.minimum(((times_s - start) / max(end - start, 1e-9) * columns).astype(np.int64), columns - 1)
    for line in _bars(bars, place, columns, _EIGHTHS if unicode else _ASCII_EIGHTHS):
        console.print(line, no_wrap=True, crop=True)
    for row in rows:
        console.print(_marks(row, place, columns, unicode), no_wrap=True, crop=True)
    console.print(_axis(start, end, columns, unicode), no_wrap=True, crop=True)


def _bars(bars: Bars, place: NDArray[np.int64], columns: int, eighths: str) -> list[Text]:
    import numpy as np
    from rich.text import Text

    heights = np.zeros(columns, dtype=np.int64)
    np.maximum.at(heights, place, bars.values)
    top = max(int(heights.max()), 1)
    filled = np.ceil(heights * (8 * BAR_LINES) / top).astype(np.int64)  # a single one still shows
    lines = []
    for level in reversed(range(BAR_LINES)):
        cells = "".join(eighths[max(0, min(8, int(height) - 8 * level))] for height in filled)
        label = bars.label if level == BAR_LINES - 1 else ""
        mark = f"{top:>4}" if level == BAR_LINES - 1 else f"{0:>4}" if level == 0 else "    "
        lines.append(Text.assemble((f"{label:<{LABEL_COLUMNS - 5}}{mark} ", ""), (cells, bars.style)))
    return lines


def _marks(row: Marks, place: NDArray[np.int64], columns: int, unicode: bool) -> Text:
    import numpy as np
    from rich.text import Text

    struck = np.zeros(columns, dtype=bool)
    struck[place[row.where]] = True
    mark, nothing = (row.mark, "·") if unicode else (row.ascii_mark, ".")
    text = Text(f"{row.label:<{LABEL_COLUMNS}}")
    for hit, run in groupby(struck.tolist()):
        text.append((mark if hit else nothing) * len(list(run)), row.style if hit else "dim")
    return text.append(f"  {row.told}")


def _axis(start: float, end: float, columns: int, unicode: bool) -> Text:
    from rich.text import Text

    first, last = f"{start:.1f} s", f"{end:.1f} s"
    line = ("─" if unicode else "-") * max(columns - len(first) - len(last) - 2, 1)
    return Text(f"{'received after':<{LABEL_COLUMNS}}{first} {line} {last}", style="dim")
