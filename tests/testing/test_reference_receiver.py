"""The reference receiver against the truth tables of the recorded frames, which somebody else computed."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ccsds.coding.randomizer import randomize
from ccsds.coding.reed_solomon import ReedSolomonCode
from ccsds.testing.reference_receiver import LinkAccount, LinkParameters, deinterleave, receive_frames

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
TABLE = CAPTURES / "captures.toml"
FILES: list[dict[str, Any]] = [
    entry for entry in (tomllib.loads(TABLE.read_text())["file"] if TABLE.exists() else []) if entry["kind"] == "frames"
]
pytestmark = pytest.mark.skipif(not FILES, reason="the recordings lie beside the project directory, and are absent")


def receive(entry: dict[str, Any]) -> LinkAccount:
    octets = (CAPTURES / entry["file"]).read_bytes()
    assert hashlib.sha256(octets).hexdigest() == entry["file_sha256"]
    size, depth = entry["record_octets"], entry.get("deinterleave", 1)
    parameters = LinkParameters(
        protocol=entry["protocol"],
        spacecraft_ids=frozenset({entry["scid"]}),
        frame_error_control_present=entry.get("fecf", False),
        operational_control_field_present=entry.get("ocf", False),
        insert_zone_octets=entry.get("insert_zone_octets", 0),
        issue=4,
        secondary_header_octets=entry.get("secondary_header_octets"),
        data_without_packets=frozenset(vc["vcid"] for vc in entry["vc"] if vc["content"] == "not packets"),
    )
    code = ReedSolomonCode(interleaving_depth=entry.get("rs_interleave", 1))

    def frame(record: bytes) -> bytes:
        if "asm" not in entry:
            return deinterleave(record, depth)
        assert record.startswith(bytes.fromhex(entry["asm"]))
        return bytes(code.decode(randomize(record[4:])).frame)

    records = (octets[at : at + size] for at in range(0, len(octets) - size + 1, size))
    return receive_frames(map(frame, records), parameters)


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: str(entry["mission"]))
def test_truth_of_a_recording(entry: dict[str, Any]) -> None:
    account = receive(entry)
    assert account.records == entry["records"]
    assert account.foreign_records + account.undecodable_records == entry["foreign_records"]
    assert account.frame_error_control_failures == entry.get("fecf_fail", 0)
    if "mc_gaps" in entry:
        assert (account.master_channel_gaps, account.master_channel_lost) == (entry["mc_gaps"], entry["mc_lost"])
    assert account.ocf_words == entry.get("ocf_words", 0)
    if "ocf_sha256" in entry:
        assert account.ocf_sha256 == entry["ocf_sha256"]
    assert sorted(channel for _, channel in account.channels) == sorted(vc["vcid"] for vc in entry["vc"])
    for truth in entry["vc"]:
        check_channel(account, entry["scid"], truth)


def check_channel(account: LinkAccount, spacecraft_id: int, truth: dict[str, Any]) -> None:
    channel = account.channels[spacecraft_id, truth["vcid"]]
    extraction = channel.extraction
    found = {
        "vcid": channel.virtual_channel_id,
        "frames": channel.frames,
        "repeated_frames": channel.repeated_frames,
        "counter_first": channel.counter_first,
        "counter_last": channel.counter_last,
        "counter_gaps": channel.counter_gaps,
        "lost_frames": channel.lost_frames,
        "oid_frames": channel.only_idle_data_frames,
        "zone_sha256": channel.zone_sha256,
        "frames_without_packet_start": extraction.zones_without_packet_start,
        "fhp_match": extraction.pointer_matches,
        "fhp_mismatch": extraction.pointer_mismatches,
        "fhp_invalid": extraction.pointers_invalid,
        "unknown_pvn": extraction.unknown_packet_versions,
        "dropped_gap": extraction.dropped_gap,
        "dropped_mismatch": extraction.dropped_mismatch,
        "dropped_end_of_file": extraction.dropped_end,
        "packets": extraction.packets,
        "packet_octets": extraction.packet_octets,
        "sha256": channel.sha256,
        "idle_packets": extraction.idle_packets,
        "idle_octets": extraction.idle_octets,
        "apids": [[identifier, *row] for identifier, row in sorted(channel.application_processes.items())],
        "encapsulation": [[identifier, *row] for identifier, row in sorted(channel.encapsulation.items())],
    }
    expected = {name: value for name, value in truth.items() if name not in ("content", "zone_octets")}
    assert {name: found[name] for name in expected} == expected
