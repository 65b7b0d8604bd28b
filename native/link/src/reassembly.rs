//! Data units out of the portions in which frames carry them.
//! Sources: CCSDS 232.0-B-4 section 4.4 (MAP reception), CCSDS 732.1-B-3 section 4.3 (MAP reception).

use crate::extraction::Origin;
use crate::map_frame::Portion;

/// Why there is no whole unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discard {
    NoFirst,
    NoLast,
    Gap,
    Oversize,
    End,
}

/// What one frame holds of a unit.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) portion: Portion,
    pub(crate) octets: &'a [u8],
    pub(crate) origin: Origin,
    pub(crate) protocol_id: u8,
}

/// A unit, or what there is of one.
pub(crate) struct Unit<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) origin: Origin,
    pub(crate) protocol_id: u8,
    pub(crate) segments: u32,
    pub(crate) discard: Option<Discard>,
}

/// The unit in progress, of one kind of frame on one MAP.
#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    octets: Vec<u8>,
    origin: Origin,
    protocol_id: u8,
    /// Portions in it; none: nothing is in progress.
    segments: u32,
    lost_before: u32,
}

impl Reassembler {
    /// Frames were lost: the unit in progress is over.
    pub(crate) fn gap(&mut self, lost: u32, give: &mut impl FnMut(Unit<'_>)) {
        self.discard(Discard::Gap, give);
        self.lost_before = self.lost_before.saturating_add(lost);
    }

    /// The stream ended.
    pub(crate) fn finish(&mut self, give: &mut impl FnMut(Unit<'_>)) {
        self.discard(Discard::End, give);
    }

    /// The loss before what starts now; it is told once.
    pub(crate) fn take_lost(&mut self) -> u32 {
        std::mem::take(&mut self.lost_before)
    }

    /// A portion.  `most` octets are believed of a unit in several portions.
    pub(crate) fn take(&mut self, segment: Segment<'_>, most: usize, give: &mut impl FnMut(Unit<'_>)) {
        let Segment { portion, octets, origin, protocol_id } = segment;
        if matches!(portion, Portion::First | Portion::Unsegmented) {
            self.discard(Discard::NoLast, give);
            self.origin = Origin { lost_frames_before: self.take_lost(), ..origin };
            self.protocol_id = protocol_id;
        } else if self.segments == 0 {
            give(Unit { octets, origin, protocol_id, segments: 1, discard: Some(Discard::NoFirst) });
            return;
        } else {
            self.origin.corrected_symbols += origin.corrected_symbols;
        }
        if portion == Portion::Unsegmented {
            give(Unit { octets, origin: self.origin, protocol_id, segments: 1, discard: None });
            return;
        }
        self.segments += 1;
        self.octets.extend_from_slice(octets);
        if self.octets.len() > most {
            self.discard(Discard::Oversize, give);
        } else if portion == Portion::Last {
            self.end(None, give);
        }
    }

    fn discard(&mut self, reason: Discard, give: &mut impl FnMut(Unit<'_>)) {
        if self.segments > 0 {
            self.end(Some(reason), give);
        }
    }

    fn end(&mut self, discard: Option<Discard>, give: &mut impl FnMut(Unit<'_>)) {
        let Self { octets, origin, protocol_id, segments, .. } = self;
        give(Unit { octets, origin: *origin, protocol_id: *protocol_id, segments: *segments, discard });
        self.octets.clear();
        self.segments = 0;
    }
}

/// A frame that was overtaken: only a unit that lies in it whole; the one in progress goes on without it.
pub(crate) fn take_late(segment: Segment<'_>, give: &mut impl FnMut(Unit<'_>)) {
    let mut alone = Reassembler::default();
    alone.take(segment, segment.octets.len(), give);
    alone.gap(0, give);
}
