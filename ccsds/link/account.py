"""The account of a reception: what came, what was lost, and why; as a tree for machines, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["FORMAT", "Account"]

FORMAT = "ccsds-replay/1"
ALIASING_FRAMES = 256
"""An eight-bit frame counter cannot tell a loss of n from one of n + 256 frames."""

_SOURCE = ("packets", "packet_octets", "sequence_gaps", "missing_packets")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver counted.  Rows are mappings; their keys are those of the JSON, a promise to users.

    virtual_channels: spacecraft_id, virtual_channel_id, frames, repeated_frames, counter_gaps, lost_frames,
        only_idle_data_frames, packets, packet_octets, idle_packets, sha256 and more; a row for replayed frames apart.
    application_processes: packets of each APID with gaps of its sequence count.  encapsulation: by protocol.
    master_channels: of TM, gaps of the master channel frame count.  totals: of the physical channel.
    sequences: of TC and USLP, sequence-controlled and expedited frames of each virtual channel, with their gaps.
    maps: of TC and USLP, what came on each MAP, and what was thrown away there and why.
    synchronization: what the marker search saw, or None.
    aliasing: lost frames are at least as many, because the counter has eight bits.
    """

    virtual_channels: Sequence[Mapping[str, Any]]
    application_processes: Sequence[Mapping[str, Any]]
    encapsulation: Sequence[Mapping[str, Any]]
    master_channels: Sequence[Mapping[str, Any]]
    totals: Mapping[str, Any]
    sequences: Sequence[Mapping[str, Any]] = ()
    maps: Sequence[Mapping[str, Any]] = ()
    synchronization: Mapping[str, Any] | None = None
    aliasing: bool = False
    warnings: Sequence[str] = ()

    @property
    def lossless(self) -> bool:
        """True when nothing was lost, damaged or left over, as far as can be told."""
        totals = self.totals
        damage = (
            "fecf_errors",
            "header_error_control_errors",
            "uncorrectable_codeblocks",
            "wrong_length_records",
            "surplus_channel_frames",
            "resynchronizations",
            "trailing_octets",
            "unreadable_octets",
        )
        if any(totals[name] for name in damage):
            return False
        losses = (
            "lost_frames",
            "counter_resets",
            "invalid_frames",
            "pointers_invalid",
            "unknown_packet_versions",
            "invalid_packets",
            "oversize_packets",
            "packets_dropped_by_gap",
            "packets_dropped_by_mismatch",
        )
        of_maps = ("discarded_no_first", "discarded_no_last", "discarded_gap", "discarded_oversize", "broken_blocks")
        return not (
            any(row[name] for row in self.virtual_channels for name in losses)
            or any(row[name] for row in self.maps for name in of_maps)
        )

    def to_dict(self) -> dict[str, Any]:
        """The tree that `ccsds replay --json` writes.  Keys may be added in later releases, never changed."""
        return {
            "format": FORMAT,
            "virtual_channels": [dict(row) for row in self.virtual_channels],
            "application_processes": [dict(row) for row in self.application_processes],
            "encapsulation": [dict(row) for row in self.encapsulation],
            "master_channels": [dict(row) for row in self.master_channels],
            "sequences": [dict(row) for row in self.sequences],
            "maps": [dict(row) for row in self.maps],
            "synchronization": dict(self.synchronization) if self.synchronization is not None else None,
            "totals": dict(self.totals),
            "aliasing": self.aliasing,
            "warnings": list(self.warnings),
        }

    def remarks(self) -> list[str]:
        """What the numbers of the table do not say, a sentence each."""
        remarks = list(self.warnings)
        totals = self.totals
        sentences: tuple[tuple[str, str], ...] = (
            ("foreign_frames", "frame{s} of another version or spacecraft, set aside"),
            ("surplus_channel_frames", "frame{s} of one virtual channel too many, set aside"),
            ("fecf_errors", "frame{s} whose frame error control field does not verify, dropped"),
            ("header_error_control_errors", "frame{s} whose header error control does not verify, dropped"),
            ("uncorrectable_codeblocks", "codeblock{s} past correction, dropped"),
            ("corrected_symbols", "symbol{s} corrected"),
            ("corrected_header_symbols", "header symbol{s} corrected"),
            ("wrong_length_records", "record{s} of another length than the frame's, dropped"),
            ("resynchronizations", "place{s} where no frame could start, up to the next one"),
            ("skipped_octets", "octet{s} passed over there"),
            ("fill_octets", "octet{s} of fill behind frames"),
            ("trailing_octets", "octet{s} after the last whole unit"),
            ("unreadable_octets", "octet{s} after a place where no packet starts"),
        )
        remarks += [counted(totals[name], sentence) for name, sentence in sentences if totals.get(name)]
        seen = self.synchronization
        if seen is not None:
            sentences = (
                ("flywheel_blocks", "marker{s} missing and bridged"),
                ("bit_slips", "bit slip{s}"),
                ("inverted_blocks", "block{s} of inverted polarity, turned"),
                ("lock_losses", "loss{es} of lock"),
                ("skipped_bits", "bit{s} outside of frames"),
            )
            remarks += [counted(seen[name], sentence) for name, sentence in sentences if seen[name]]
        for row in self.virtual_channels:
            remarks += [f"{channel_name(row)}: {sentence}" for sentence in _channel_remarks(row)]
        for row in self.maps:
            remarks += [f"{map_name(row)}: {sentence}" for sentence in _map_remarks(row)]
        for row in self.sequences:
            if commands := row["control_command_frames"]:
                remarks.append(f"{channel_name(row)}: {counted(commands, 'frame{s} with control commands')}")
        return remarks

    def losses(self) -> str:
        """Lost frames in words: that none was lost, how many, or at least how many."""
        lost = sum(row["lost_frames"] for row in self.virtual_channels)
        if not lost:
            return "no frame lost by the counters"
        return f"{_lost(lost, self.aliasing)} frame{'' if lost == 1 else 's'} lost"

    def __str__(self) -> str:
        heads = ("channel", "frames", "repeated", "gaps", "lost", "idle", "packets", "octets")
        rows = [heads, *(channel_cells(row, self.aliasing) for row in self.virtual_channels)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        totals = self.totals
        lines.append(
            f"{counted(totals['frames'], 'frame{s}')}, {counted(totals['packets'], 'packet{s}')}, {self.losses()}"
        )
        return "\n".join([*lines, *(f"- {remark}" for remark in self.remarks())])


def counted(number: int, what: str) -> str:
    """A number and what it counts: {s} and {es} in `what` stand for the ending of more than one, or of none."""
    return f"{number:,} {what.format(s='' if number == 1 else 's', es='' if number == 1 else 'es')}"


def channel_name(row: Mapping[str, Any]) -> str:
    """A virtual channel in short: spacecraft and virtual channel, or that there are only packets."""
    if row["virtual_channel_id"] is None:
        return "packets"
    return f"{row['spacecraft_id']}/{row['virtual_channel_id']}{' replay' if row.get('replay') else ''}"


def map_name(row: Mapping[str, Any]) -> str:
    """A MAP in short: its virtual channel, and its identifier where it has one."""
    return channel_name(row) if row["map_id"] is None else f"{channel_name(row)} MAP {row['map_id']}"


def channel_cells(row: Mapping[str, Any], aliasing: bool) -> tuple[str, ...]:
    """A virtual channel as text cells: name, frames, repeated, gaps, lost, idle, packets, octets."""
    names = ("frames", "repeated_frames", "counter_gaps")
    lost = _lost(row["lost_frames"], aliasing) if row["lost_frames"] else "0"
    names_after = ("only_idle_data_frames", "packets", "packet_octets")
    before, after = ([f"{row[name]:,}" for name in group] for group in (names, names_after))
    return (channel_name(row), *before, lost, *after)


def _lost(lost: int, aliasing: bool) -> str:
    return f"at least {lost:,}" if aliasing else f"{lost:,}"


def _channel_remarks(row: Mapping[str, Any]) -> list[str]:
    sentences = (
        ("late_frames", "late frame{s}"),
        ("counter_resets", "time{s} the frame counter was set anew"),
        ("packets_dropped_by_gap", "packet{s} cut off by a gap"),
        ("packets_dropped_by_mismatch", "packet{s} contradicted by a first header pointer"),
        ("packets_unfinished", "packet{s} unfinished at the end"),
        ("incomplete_packets", "incomplete packet{s} delivered"),
        ("unknown_packet_versions", "place{s} where no packet of a valid version starts"),
        ("invalid_packets", "packet{s} whose header contradicts itself"),
        ("oversize_packets", "packet{s} longer than the profile allows"),
        ("pointers_invalid", "first header pointer{s} behind the data"),
        ("invalid_frames", "frame{s} whose headers contradict their length"),
    )
    return [counted(row[name], sentence) for name, sentence in sentences if row[name]]


def _map_remarks(row: Mapping[str, Any]) -> list[str]:
    sentences = (
        ("access_units", "access data unit{s}"),
        ("octet_stream_octets", "octet{s} of a stream"),
        ("discarded_no_first", "portion{s} without a first one before"),
        ("discarded_no_last", "unit{s} without a last portion"),
        ("discarded_gap", "unit{s} cut off by a gap"),
        ("discarded_oversize", "unit{s} longer than the profile allows"),
        ("discarded_end", "unit{s} unfinished at the end"),
        ("incomplete_units", "incomplete unit{s} delivered"),
        ("broken_blocks", "unit{s} that end in no whole packet"),
    )
    return [counted(row[name], sentence) for name, sentence in sentences if row[name]]


def _identified(rows: Sequence[Mapping[str, Any]], third: str) -> list[dict[str, Any]]:
    """Rows with the keys that identify them first."""
    keys = ("spacecraft_id", "virtual_channel_id", third)
    return [{name: row[name] for name in keys} | dict(row) for row in rows]


def account_from_rows(
    rows: Sequence[dict[str, Any]],
    totals: Mapping[str, Any],
    *,
    master_channels: Sequence[Mapping[str, Any]] = (),
    sequences: Sequence[Mapping[str, Any]] = (),
    maps: Sequence[Mapping[str, Any]] = (),
    synchronization: Mapping[str, Any] | None = None,
    aliasing: bool = False,
    warnings: Sequence[str] = (),
) -> Account:
    """An account from the rows that the kernels give, in the order of the promise."""
    channels, processes, protocols = [], [], []
    for row in rows:
        channel = dict(row)
        key = {name: channel.pop(name) for name in ("spacecraft_id", "virtual_channel_id")}
        for process_id, counts in channel.pop("application_processes"):
            named = dict(zip(_SOURCE, counts, strict=True))
            processes.append({**key, "application_process_id": process_id, **named, "replay": channel["replay"]})
        for protocol_id, packets, octets in channel.pop("encapsulation"):
            named = {"packets": packets, "packet_octets": octets}
            protocols.append({**key, "protocol_id": protocol_id, **named, "replay": channel["replay"]})
        channels.append({**key, **channel})
    sums = {name: sum(row[name] for row in channels) for name in ("frames", "packets", "packet_octets")}
    return Account(
        virtual_channels=channels,
        application_processes=processes,
        encapsulation=protocols,
        master_channels=list(master_channels),
        sequences=_identified(sequences, "bypass_flag"),
        maps=_identified(maps, "map_id"),
        totals={"frames": sums.pop("frames"), **totals, **sums},
        synchronization=synchronization,
        aliasing=aliasing,
        warnings=warnings,
    )
