"""Field tables of the unit pages, made from the layouts in the code.

python docs/generate_tables.py --check    exit code 1 where a page is behind the code
python docs/generate_tables.py --write    bring the pages up to date

A page asks for a table with a pair of comments, a layout between them by module and name:

    <!-- table ccsds.packets.space_packet:PRIMARY_HEADER -->
    <!-- end -->
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

from ccsds.layout import Layout

PAGES = Path(__file__).resolve().parent / "units"
TABLE = re.compile(r"(<!-- table (?P<module>[\w.]+):(?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def layout_of(module: str, name: str) -> Layout:
    """The layout that a comment names.  Raises AttributeError, TypeError: there is none."""
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, Layout):
        raise TypeError(f"{module}:{name} is no layout")
    return found


def filled(page: str) -> str:
    """The page with every table as the code has it now."""

    def table(match: re.Match[str]) -> str:
        layout = layout_of(match["module"], match["name"])
        size = f"{layout.octets} octet{'s' * (layout.octets > 1)}"
        return f"{match[1]}\n{layout.document}, {size}:\n\n{layout.markdown()}\n{match[4]}"

    return TABLE.sub(table, page)


def main() -> int:
    parser = argparse.ArgumentParser(description="Field tables of the unit pages, made from the layouts in the code.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="say which pages are behind the code")
    mode.add_argument("--write", action="store_true", help="bring the pages up to date")
    write = parser.parse_args().write
    behind = [page for page in sorted(PAGES.glob("*.md")) if filled(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in behind:
        if write:
            page.write_text(filled(page.read_text("utf-8")), "utf-8")
        print(f"{page.name}: {'written' if write else 'behind the code; run docs/generate_tables.py --write'}")
    return 1 if behind and not write else 0


if __name__ == "__main__":
    sys.exit(main())
