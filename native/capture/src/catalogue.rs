//! What a capture says about itself beside its frames: sections, interfaces, statistics, names.

/// Octets of options, names and the like that are kept; what exceeds it is counted and let go.
const METADATA_OCTETS: usize = 16 << 20;
/// Charged for each kept thing on top of its octets.
const THING_OCTETS: usize = 128;

/// An option as it lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOption {
    /// The option's code.
    pub code: u16,
    /// Its value, without padding.
    pub value: Vec<u8>,
}

/// A section (a classic pcap file is one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Byte order of the section.
    pub big_endian: bool,
    /// Format version.
    pub major: u16,
    /// Format version.
    pub minor: u16,
    /// Options of the section header.
    pub options: Vec<RawOption>,
}

/// An interface (a classic pcap file has one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Index of its section.
    pub section: u32,
    /// LINKTYPE number.
    pub link_type: u16,
    /// Octets after which frames were cut; 0 for no limit.
    pub snap_length: u32,
    /// As in if_tsresol.
    pub resolution: u8,
    /// Seconds to add, as in if_tsoffset.
    pub offset_s: i64,
    /// Options of the description.
    pub options: Vec<RawOption>,
    /// The last statistics block's options.
    pub statistics: Option<Vec<RawOption>>,
    /// Nanoseconds since 1970 of the last statistics block, -1 when unknown.
    pub statistics_timestamp_ns: i64,
}

/// Everything but the frames.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// "pcap" or "pcapng".
    pub format: &'static str,
    /// Sections in file order.
    pub sections: Vec<Section>,
    /// Interfaces of all sections in file order.
    pub interfaces: Vec<Interface>,
    /// Name resolution records: record type and value.
    pub names: Vec<RawOption>,
    /// Blocks of types that are not looked into.
    pub other_blocks: u64,
    /// Frames lost according to options of the frames' own blocks.
    pub dropped_by_annotation: u64,
    /// Frames whose time is before 1970 or after 2262; their time is unknown.
    pub times_out_of_range: u64,
    /// Options, names or statistics that were not kept, because there were too many.
    pub metadata_not_kept: u64,
    /// Options that run past their block; the rest of that block's options is not read.
    pub malformed_options: u64,
    kept_octets: usize,
}

impl Catalogue {
    /// Whether something of `octets` octets may still be kept; counts it either way.
    pub(crate) fn keep(&mut self, octets: usize) -> bool {
        let after = self.kept_octets.saturating_add(octets + THING_OCTETS);
        if after > METADATA_OCTETS {
            self.metadata_not_kept += 1;
            return false;
        }
        self.kept_octets = after;
        true
    }

    pub(crate) fn release(&mut self, options: &[RawOption]) {
        let octets: usize = options.iter().map(|o| o.value.len() + THING_OCTETS).sum();
        self.kept_octets = self.kept_octets.saturating_sub(octets);
    }
}
