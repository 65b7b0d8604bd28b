"""Our docstrings as reStructuredText: sections (`Args:`, `Raises:` ...) become lists, anything else stays plain text.

Whatever a docstring holds, it comes out as valid markup: authors write for readers of the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Source|Departs from it):[ \t]*(.*)$")
INLINE_SECTIONS = re.compile(r"(?<=[.)])[ \t]+(?=(?:Args|Returns|Raises|Attributes|Source): )")
ITEM = re.compile(r"^([\w*]+(?:, [\w*]+)*): +(.*)$")
SPLIT_ITEM = re.compile(r"(?<=[.)])[ \t]{2,}(?=[\w*]+: )")
CODE = re.compile(r"(``[^`]+``|`[^`]+`)")


def to_markup(lines: list[str]) -> list[str]:
    """The docstring's lines as reStructuredText."""
    result: list[str] = []
    for block in paragraphs(lines):
        result += [*_block(block), ""]
    return result


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines; a section begins one, even where no empty line stands before it."""
    current: list[str] = []
    for line in (piece for whole in lines for piece in _cut_sections(whole)):
        if not line.strip():
            if current:
                yield current
            current = []
            continue
        if current and SECTION.match(line):
            yield current
            current = []
        current.append(line.rstrip())
    if current:
        yield current


def _cut_sections(line: str) -> list[str]:
    return INLINE_SECTIONS.split(line) if not line.startswith(" ") else [line]


def _block(block: list[str]) -> list[str]:
    found = SECTION.match(block[0])
    if found:
        return [f"**{found[1]}**", "", *_items(block, found)]
    if all(line.startswith("    ") for line in block):
        return ["::", "", *block]
    return [escaped(" ".join(line.strip() for line in block))]


def _items(block: list[str], section: re.Match[str]) -> list[str]:
    """One bullet per `name: meaning`; lines that stand deeper than the names go on with the one before."""
    start = section.start(2)
    positioned = [(start, section[2]), *((len(line) - len(line.lstrip()), line.strip()) for line in block[1:])]
    left = min((indent for indent, text in positioned if ITEM.match(text)), default=start)
    texts: list[str] = []
    for indent, text in positioned:
        for part in SPLIT_ITEM.split(text):
            if not part:
                continue
            if texts and not (ITEM.match(part) and indent <= max(left, start)):
                texts[-1] += " " + part
            else:
                texts.append(part)
    return [f"- {_item(text)}" for text in texts]


def _item(text: str) -> str:
    found = ITEM.match(text)
    return f"``{found[1]}``: {escaped(found[2])}" if found else escaped(text)


def escaped(text: str) -> str:
    """Plain text with `code` in it; nothing else in it is markup."""
    pieces = CODE.split(text)
    for number, piece in enumerate(pieces):
        if number % 2 and piece.strip("` "):
            pieces[number] = "\\ ``" + piece.strip("`").strip() + "``\\ "
        else:
            pieces[number] = re.sub(r"([\\*_|`<>\[\]])", r"\\\1", piece)
    markup = "".join(pieces).replace("::", ":\\:")
    return markup if markup[:1].isalpha() or markup.startswith("\\ ``") else "\\ " + markup  # no list, no rule


def process(_app: object, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """The hook that autodoc calls for each docstring."""
    lines[:] = to_markup(lines)
