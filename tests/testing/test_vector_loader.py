"""The vector files: all there, all with their origin, and found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccsds.testing import load_vectors, vector_files


def test_every_case_says_where_it_comes_from() -> None:
    names = vector_files()
    assert len(names) >= 13
    for name in names:
        cases = load_vectors(name)
        assert cases, name
        for case in cases:
            assert case["kind"] and case["id"] and case["source"] and case["how"], (name, case)
            assert isinstance(case["verified"], bool)
        assert len({(case["kind"], case["id"]) for case in cases}) == len(cases), name


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ValueError, match=r"nearest: 133\.0-B-2/space_packet\.toml"):
        load_vectors("133.0-B-2/space_packets.toml")
    with pytest.raises(ValueError, match="nearest"):
        load_vectors("../__init__.py")


def test_cases_are_the_callers_own() -> None:
    load_vectors("232.0-B-4/clcw.toml")[0]["octets"] = "changed"
    assert load_vectors("232.0-B-4/clcw.toml")[0]["octets"] != "changed"


def test_the_top_level_name_leads_to_the_files() -> None:
    link = Path(__file__).parents[2] / "vectors"
    if not link.exists():
        pytest.skip("not in a source tree")
    assert sorted(f"{path.parent.name}/{path.name}" for path in link.glob("*/*.toml")) == vector_files()
