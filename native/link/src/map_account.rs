//! Counts of the MAPs and of the frame count sequences of a TC or USLP virtual channel; the names are those of the JSON.

/// Counts of one multiplexer access point, or of a TC virtual channel without MAPs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MapAccount {
    /// Frames with data for it.
    pub frames: u64,
    /// Portions of data units among them.
    pub segments: u64,
    /// Complete packets that are not idle.
    pub packets: u64,
    /// Their octets.
    pub packet_octets: u64,
    /// Complete access data units.
    pub access_units: u64,
    /// Their octets.
    pub access_unit_octets: u64,
    /// Octets of streams that have no units.
    pub octet_stream_octets: u64,
    /// Continuing or last portions that came without a first one.
    pub discarded_no_first: u64,
    /// Units in progress when the next one began.
    pub discarded_no_last: u64,
    /// Units in progress when frames were lost.
    pub discarded_gap: u64,
    /// Units that grew beyond the maximum length.
    pub discarded_oversize: u64,
    /// Units in progress when the stream ended.
    pub discarded_end: u64,
    /// Octets of all of these, as far as they had come.
    pub discarded_octets: u64,
    /// Of these, units delivered as incomplete.
    pub incomplete_units: u64,
    /// Data units whose last packet is not whole, or is none.
    pub broken_blocks: u64,
}

/// Counts of the sequence-controlled or of the expedited frames of a virtual channel, each with a frame count of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SequenceAccount {
    /// Frames, repeated ones included.
    pub frames: u64,
    /// Frames that equal the one before them.
    pub repeated_frames: u64,
    /// Frames with control commands.
    pub control_command_frames: u64,
    /// USLP: frames with the truncated header.
    pub truncated_frames: u64,
    /// Places where the counter jumps ahead.
    pub counter_gaps: u64,
    /// Frames missing by the counter.
    pub lost_frames: u64,
    /// Frames overtaken by others.
    pub late_frames: u64,
    /// Places where the counter was set anew.
    pub counter_resets: u64,
}
