"""`ccsds replay` on recordings of real spacecraft: exactly the truth that ../shared/captures states, by any way in."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccsds.cli.main import cli

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
SLUGS = {
    "Hera": "hera",
    "Euclid": "euclid",
    "DART": "dart",
    "Aditya-L1": "aditya-l1",
    "Blue Ghost Mission 1": "bgm1",
    "Mars 2020": "mars2020",
    "Lucy": "lucy",
    "Chang'e 5": "chang-e-5",
    "Psyche": "psyche",
    "Lunar Flashlight": "lunar-flashlight",
    "Suomi NPP": "snpp",
    "JPSS-1": "jpss1",
    "CYGNSS": "cygnss",
}
SNPP_PACKETS_MD5 = "5e11051d86c46ddc3500904c99bbe978"  # published by the source project, see the README there

pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason="../shared/captures is not beside the project directory")


@cache
def truth() -> dict[str, Any]:
    """The table of each recording that holds TM or AOS frames, CADUs or packets, by its name."""
    files = tomllib.loads((CAPTURES / "captures.toml").read_text(encoding="utf-8"))["file"]
    return {file["file"]: file for file in files if file["kind"] in ("frames", "packets")}


NAMES = sorted(truth()) if CAPTURES.exists() else []
FRAMES = [name for name in NAMES if not name.endswith(".packets")]
each_recording = pytest.mark.parametrize("name", NAMES)
each_link = pytest.mark.parametrize("name", FRAMES)


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result


def replay(name: str, *options: str | Path, recording: Path | None = None) -> Any:
    """The JSON of `ccsds replay`; all that standard output holds."""
    mission = SLUGS[truth()[name]["mission"]]
    return json.loads(run("replay", recording or CAPTURES / name, "--mission", mission, "--json", *options).stdout)


def converted(name: str, folder: Path) -> Path:
    """The recording as a pcapng."""
    capture = folder / "recording.pcapng"
    run("convert", CAPTURES / name, capture, "--mission", SLUGS[truth()[name]["mission"]])
    return capture


def has_packets(channel: dict[str, Any]) -> bool:
    return "packets" in channel


def assert_truth(name: str, report: Any) -> None:
    """Everything that the truth table says of a recording."""
    expected = truth()[name]
    if expected["kind"] == "packets":
        assert_packet_file(expected, report)
        return
    rows = {row["virtual_channel_id"]: row for row in report["virtual_channels"]}
    assert sorted(rows) == sorted(channel["vcid"] for channel in expected["vc"])
    for channel in expected["vc"]:
        row = rows[channel["vcid"]]
        assert row["spacecraft_id"] == expected["scid"]
        for theirs, ours in CHANNEL_KEYS.items():
            if theirs in channel:
                assert row[ours] == channel[theirs], (channel["vcid"], ours)
        if not has_packets(channel):
            assert (row["packets"], row["packet_octets"], row["idle_packets"]) == (0, 0, 0)
            assert row["sha256"] == hashlib.sha256().hexdigest()
        dropped = channel.get("dropped_mismatch", 0)
        assert row["packets_dropped_by_mismatch"] == dropped
        assert processes(report, channel["vcid"]) == [tuple(line) for line in channel.get("apids", [])]
        assert protocols(report, channel["vcid"]) == [tuple(line) for line in channel.get("encapsulation", [])]
    assert_totals(expected, report["totals"])
    if expected["protocol"] == "TM":
        (master,) = report["master_channels"]
        assert (master["counter_gaps"], master["lost_frames"]) == (expected["mc_gaps"], expected["mc_lost"])


CHANNEL_KEYS = {
    "frames": "frames",
    "repeated_frames": "repeated_frames",
    "counter_gaps": "counter_gaps",
    "lost_frames": "lost_frames",
    "oid_frames": "only_idle_data_frames",
    "frames_without_packet_start": "frames_without_packet_start",
    "fhp_match": "pointer_matches",
    "fhp_mismatch": "pointer_mismatches",
    "fhp_invalid": "pointers_invalid",
    "unknown_pvn": "unknown_packet_versions",
    "dropped_gap": "packets_dropped_by_gap",
    "dropped_end_of_file": "packets_unfinished",
    "packets": "packets",
    "packet_octets": "packet_octets",
    "sha256": "sha256",
    "idle_packets": "idle_packets",
    "idle_octets": "idle_octets",
}
PROCESS_KEYS = ("application_process_id", "packets", "packet_octets", "sequence_gaps", "missing_packets")


def processes(report: Any, virtual_channel_id: int | None) -> list[tuple[int, ...]]:
    rows = report["application_processes"]
    return sorted(
        tuple(row[k] for k in PROCESS_KEYS) for row in rows if row["virtual_channel_id"] == virtual_channel_id
    )


def protocols(report: Any, virtual_channel_id: int | None) -> list[tuple[int, ...]]:
    keys = ("protocol_id", "packets", "packet_octets")
    rows = report["encapsulation"]
    return sorted(tuple(row[k] for k in keys) for row in rows if row["virtual_channel_id"] == virtual_channel_id)


def assert_totals(expected: dict[str, Any], totals: Any) -> None:
    channels = expected["vc"]
    assert totals["records"] == expected["records"]
    assert totals["frames"] == sum(channel["frames"] for channel in channels)
    assert totals["foreign_frames"] == expected["foreign_records"]
    assert totals["fecf_errors"] == expected.get("fecf_fail", 0)
    assert totals["corrected_symbols"] == expected.get("rs_symbols_corrected", 0)
    assert totals["uncorrectable_codewords"] == expected.get("rs_codewords_uncorrectable", 0)
    assert totals["uncorrectable_codeblocks"] == 0
    assert totals["packets"] == sum(channel.get("packets", 0) for channel in channels)
    assert totals["packet_octets"] == sum(channel.get("packet_octets", 0) for channel in channels)
    assert totals["trailing_octets"] == expected["trailing_octets"]


def assert_packet_file(expected: dict[str, Any], report: Any) -> None:
    (row,) = report["virtual_channels"]
    assert row["spacecraft_id"] is None
    assert row["virtual_channel_id"] is None
    for key in ("packets", "packet_octets", "sha256"):
        assert row[key] == expected[key], key
    assert processes(report, None) == [tuple(line) for line in expected["apids"]]
    assert report["totals"]["packets"] == expected["packets"]
    assert report["totals"]["trailing_octets"] == expected.get("trailing_octets", 0)


@each_recording
def test_a_recording_gives_the_truth(name: str) -> None:
    assert_truth(name, replay(name))


@each_recording
def test_the_recording_as_a_capture_gives_the_truth(name: str, tmp_path: Path) -> None:
    report = replay(name, recording=converted(name, tmp_path))
    assert_truth(name, report)
    assert report == replay(name)


@each_recording
def test_packet_files_hold_what_the_digest_says(name: str, tmp_path: Path) -> None:
    report = replay(name, "--packets", tmp_path)
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    rows = [row for row in report["virtual_channels"] if row["packets"]]
    if rows[0:1] and rows[0]["virtual_channel_id"] is None:
        assert written == {"packets.bin": truth()[name]["sha256"]}
        return
    named = {f"{channel_file(row)}.packets": row for row in rows}
    assert written == {file: row["sha256"] for file, row in named.items()}


def test_the_packets_of_suomi_npp_have_the_published_digest(tmp_path: Path) -> None:
    replay("snpp_16_cadu.dat", "--packets", tmp_path)
    (file,) = tmp_path.iterdir()
    assert hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() == SNPP_PACKETS_MD5


def channel_file(row: dict[str, Any]) -> str:
    """How the files of a virtual channel begin; replayed frames have files of their own."""
    replayed = "-replay" if row["replay"] else ""
    return f"spacecraft-{row['spacecraft_id']}-vc-{row['virtual_channel_id']}{replayed}"


@each_link
@pytest.mark.parametrize("as_capture", [False, True])
def test_other_services_give_the_truth(name: str, as_capture: bool, tmp_path: Path) -> None:
    expected, folder = truth()[name], tmp_path / "services"
    replay(name, "--services", folder, recording=converted(name, tmp_path) if as_capture else None)
    for channel in expected["vc"]:
        (file,) = folder.glob(f"spacecraft-{expected['scid']}-vc-{channel['vcid']}*.zones")
        zones = file.read_bytes()
        assert hashlib.sha256(zones).hexdigest() == channel["zone_sha256"]
    words = folder / "operational_control_fields.bin"
    assert words.exists() == ("ocf_sha256" in expected)
    if words.exists():
        octets = words.read_bytes()
        assert hashlib.sha256(octets).hexdigest() == expected["ocf_sha256"]
        assert len(octets) == 4 * expected["ocf_words"]
        history = list(csv.DictReader((folder / "clcw.csv").read_text().splitlines()))
        assert "".join(row["word"] for row in history) == octets.hex()
        assert history[0]["word"] == expected["ocf_first"]
    insert_zones = folder / "insert_zones.bin"
    frames = sum(channel["frames"] - channel["repeated_frames"] for channel in expected["vc"])
    size = expected.get("insert_zone_octets", 0)
    assert (insert_zones.stat().st_size if insert_zones.exists() else 0) == frames * size
    headers = folder / "secondary_headers.bin"
    size = 8 if expected["mission"] == "DART" else 0  # as the README there says
    assert (headers.stat().st_size if headers.exists() else 0) == frames * size


@each_recording
def test_parquet_reads_back_the_same(name: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    report = replay(name, "--parquet", tmp_path / "packets.parquet", recording=converted(name, tmp_path))
    table = parquet.read_table(tmp_path / "packets.parquet")
    assert table.num_rows == report["totals"]["packets"]
    is_packet_file = truth()[name]["kind"] == "packets"
    for row in report["virtual_channels"]:
        rows = table.to_pylist()
        if not is_packet_file:
            rows = [each for each in rows if each["virtual_channel_id"] == row["virtual_channel_id"]]
        assert hashlib.sha256(b"".join(each["octets"] for each in rows)).hexdigest() == row["sha256"]
        counts: dict[int, int] = {}
        for each in rows:
            if each["packet_version_number"] == 0:
                identifier = each["application_process_id"]
                assert int.from_bytes(each["octets"][:2], "big") & 2047 == identifier
                counts[identifier] = counts.get(identifier, 0) + 1
        assert counts == {k: n for k, n, *_ in processes(report, row["virtual_channel_id"]) if k != 2047}


def test_the_promised_shape() -> None:
    frames, packets = replay("hera_20241007T170631_high_rate.u8"), replay("cygnss_f7_20220327.packets")
    capsules = replay("bgm1_20250302_interleaved.u8")
    count, name, absent = int, str, type(None)
    channel = dict.fromkeys(
        [
            "frames",
            "repeated_frames",
            "counter_gaps",
            "lost_frames",
            "only_idle_data_frames",
            "packets",
            "packet_octets",
            "idle_packets",
        ],
        count,
    )
    sources = dict.fromkeys(("packets", "packet_octets"), count)
    promise: dict[str, dict[str, type]] = {
        "virtual_channels": {**channel, "sha256": name},
        "application_processes": {**sources, **dict.fromkeys(PROCESS_KEYS, count)},
        "encapsulation": {**sources, "protocol_id": count},
    }
    totals = dict.fromkeys(
        [
            "frames",
            "foreign_frames",
            "fecf_errors",
            "corrected_symbols",
            "uncorrectable_codeblocks",
            "packets",
            "packet_octets",
            "trailing_octets",
        ],
        count,
    )
    for report, kind in ((frames, count), (packets, absent), (capsules, count)):
        assert report["format"] == "ccsds-replay/1"
        for table, keys in promise.items():
            for row in report[table]:
                named = keys | dict.fromkeys(("spacecraft_id", "virtual_channel_id"), kind)
                assert {key: type(row[key]) for key in named} == named
        assert {key: type(report["totals"][key]) for key in totals} == totals
    assert capsules["encapsulation"]
    assert frames["application_processes"]


def test_standard_output_holds_only_json_and_input_may_be_piped() -> None:
    name = "snpp_16_cadu.dat"
    program = [sys.executable, "-c", "from ccsds.cli.main import run; run()"]
    arguments = ["replay", "-", "--mission", "snpp", "--json", "--progress"]
    octets = (CAPTURES / name).read_bytes()
    result = subprocess.run([*program, *arguments], input=octets, capture_output=True, timeout=60)
    assert result.returncode == 0
    assert result.stderr
    assert_truth(name, json.loads(result.stdout))


def test_hexadecimal_lines_give_the_truth(tmp_path: Path) -> None:
    name = "dart_20211124T093442.u8"
    octets, size = (CAPTURES / name).read_bytes(), truth()[name]["record_octets"]
    lines = [octets[at : at + size].hex() + "\n" for at in range(0, len(octets), size)]
    (tmp_path / "frames.hex").write_text("".join(lines))
    assert_truth(name, replay(name, recording=tmp_path / "frames.hex"))


@pytest.mark.parametrize("cut", [1, 500, 1023])
def test_a_truncated_recording_counts_its_last_octets(cut: int, tmp_path: Path) -> None:
    name = "hera_20241007T170631_high_rate.u8"
    octets = (CAPTURES / name).read_bytes()
    (tmp_path / "cut.u8").write_bytes(octets[:-cut])
    report = replay(name, recording=tmp_path / "cut.u8")
    assert report["totals"]["trailing_octets"] == truth()[name]["record_octets"] - cut
    assert report["totals"]["records"] == truth()[name]["records"] - 1


def test_strict_tells_losses_by_its_exit_code() -> None:
    lossy = ["replay", str(CAPTURES / "lucy_20211016T185442.u8"), "--mission", "lucy", "--strict", "--json"]
    result = CliRunner().invoke(cli, lossy)
    assert result.exit_code == 4
    assert_truth("lucy_20211016T185442.u8", json.loads(result.stdout))
    whole = ["replay", str(CAPTURES / "jpss1_geolocation_20210409.packets"), "--mission", "jpss1", "--strict"]
    assert CliRunner().invoke(cli, whole).exit_code == 0
