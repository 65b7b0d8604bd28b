"""Registries: unknown values survive, unknown names get the nearest."""

from __future__ import annotations

import pytest

from ccsds.registry import Registry, Row


def test_look_up_both_ways() -> None:
    registry = Registry("protocol", bits=3, source="a table", rows=(Row(0, "IDLE"), Row(4, "BUNDLE")))
    assert registry.name_of(4) == "BUNDLE" and registry.value_of("BUNDLE") == 4
    assert registry.name_of(5) is None
    assert 4 in registry and 5 not in registry and len(registry) == 2
    with pytest.raises(KeyError, match="nearest: BUNDLE"):
        registry.value_of("BUNDEL")


@pytest.mark.parametrize("rows", [(Row(0, "A"), Row(0, "B")), (Row(0, "A"), Row(1, "A")), (Row(8, "A"),)])
def test_tables_that_contradict_themselves(rows: tuple[Row, ...]) -> None:
    with pytest.raises(ValueError, match="protocol"):
        Registry("protocol", bits=3, source="a table", rows=rows)
