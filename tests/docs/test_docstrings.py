"""Docstrings become valid reStructuredText, whatever they hold."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_docstrings", ROOT / "docs" / "docstrings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


docstrings = _load()


def lines(text: str) -> list[str]:
    return [line for line in docstrings.to_markup(text.splitlines()) if line]


def test_sections_become_lists() -> None:
    text = (
        "Cut one packet off `octets`; see first_header_pointer_ and *args.\n\n"
        "Args:   mission: a mission, or a path.  A mission\n"
        "            without a channel: packets only.\n"
        "        digest: the account holds digests.\n"
        "Raises: TruncatedError: too short.\n"
        "Source: CCSDS 133.0-B-2, section 4.1.\n"
    )
    assert lines(text) == [
        "Cut one packet off \\ ``octets``\\ ; see first\\_header\\_pointer\\_ and \\*args.",
        "**Args**",
        "- ``mission``: a mission, or a path.  A mission without a channel: packets only.",
        "- ``digest``: the account holds digests.",
        "**Raises**",
        "- ``TruncatedError``: too short.",
        "**Source**",
        "- CCSDS 133.0-B-2, section 4.1.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Args: name: one.  document: two.\n      fields: three.",
            ["name``: one", "document``: two", "fields``: three"],
        ),
        ("Raises: EncodeError: no fit.  KeyError: missing.", ["EncodeError``: no fit", "KeyError``: missing"]),
        (
            "Attributes: unit, octet_offset (from the start), message.",
            ["unit, octet\\_offset (from the start), message"],
        ),
    ],
)
def test_several_items_on_one_line(text: str, expected: list[str]) -> None:
    bullets = lines(text)[1:]
    assert len(bullets) == len(expected)
    assert all(words in bullet for words, bullet in zip(expected, bullets, strict=True))


def test_an_indented_block_is_shown_as_it_is() -> None:
    assert lines("So:\n\n    x = f(*y)\n    z = x_") == ["So:", "::", "    x = f(*y)", "    z = x_"]


@given(st.text(alphabet="ab:`*_|\\<>[] .\n-=+#~^\"'", max_size=200))
def test_any_docstring_is_valid_markup(text: str) -> None:
    core = pytest.importorskip("docutils.core", reason="docutils is not installed")
    utils = pytest.importorskip("docutils.utils", reason="docutils is not installed")
    try:
        core.publish_doctree(
            "\n".join(docstrings.to_markup(text.splitlines())), settings_overrides={"halt_level": 2, "report_level": 2}
        )
    except utils.SystemMessage as message:
        raise AssertionError(str(message)) from None
