//! Frames of variable length back to back, cut by their length fields.
//!
//! A length field that was damaged leads astray.  So after a frame whose error control does not verify the next one has
//! to stand where the length says; where it does not, and where no frame can start at all, the place is lost, and the
//! next frame is looked for octet by octet: one of an expected spacecraft whose error control verifies, or, where there
//! is none, that is followed by another.  Decisions wait for the octets they need: the result does not depend on how the
//! stream is cut.

use std::ops::Range;

use crate::map_frame::{Head, read_head};
use crate::parameters::PhysicalChannel;

/// State of the cutting; positions count from the first pending octet.
#[derive(Debug, Default)]
pub(crate) struct Delimiter {
    pending: Vec<u8>,
    at: usize,
    /// Octets passed over since the place was lost.
    searched: Option<u64>,
    /// Places where it was lost, and found again.
    pub(crate) resynchronizations: u64,
    /// Octets passed over there.
    pub(crate) skipped_octets: u64,
}

/// What can be said of a place.
enum Place {
    /// A frame of so many octets; whether its error control field is known to verify.
    Frame(usize, bool),
    None,
    /// More octets are needed.
    Open,
}

impl Delimiter {
    /// Octets that are held.
    pub(crate) fn pending_octets(&self) -> usize {
        self.pending.len() - self.at
    }

    pub(crate) fn append(&mut self, octets: &[u8]) {
        self.pending.drain(..self.at);
        self.at = 0;
        self.pending.extend_from_slice(octets);
    }

    /// The octets of a range that `next` gave.
    pub(crate) fn octets(&self, range: Range<usize>) -> &[u8] {
        &self.pending[range]
    }

    /// The next frame among the pending octets, and whether its error control field is known to verify; `ended`: no
    /// more octets will come.
    pub(crate) fn next(&mut self, physical: &PhysicalChannel, ended: bool) -> Option<(Range<usize>, bool)> {
        loop {
            let place = match self.searched {
                None => self.expected(physical, ended),
                Some(_) => self.found(physical, ended),
            };
            match place {
                Place::Frame(octets, verified) => {
                    if let Some(searched) = self.searched.take() {
                        self.resynchronizations += 1;
                        self.skipped_octets += searched;
                    }
                    let start = self.at;
                    self.at += octets;
                    return Some((start..self.at, verified));
                }
                Place::None if self.at < self.pending.len() => {
                    self.at += 1;
                    self.searched = Some(self.searched.map_or(1, |searched| searched + 1));
                }
                Place::None | Place::Open => return None,
            }
        }
    }

    /// The stream ended: octets that belong to no frame.
    pub(crate) fn finish(&mut self) -> u64 {
        let left = self.pending_octets() as u64 + self.searched.take().unwrap_or(0);
        self.pending.clear();
        self.at = 0;
        left
    }

    /// In step: the frame that stands here.
    fn expected(&self, physical: &PhysicalChannel, ended: bool) -> Place {
        let (head, octets) = match self.believable(self.at, physical) {
            Ok(found) => found,
            Err(place) => return or_none(place, ended),
        };
        let end = self.at + octets;
        if end > self.pending.len() {
            return or_none(Place::Open, ended);
        }
        let protected = physical.check_octets() > 0 && !head.truncated;
        if !protected || physical.verifies(&self.pending[self.at..end]) {
            return Place::Frame(octets, protected);
        }
        // In error, and so its length is in doubt.
        match self.follows(end, physical, ended) {
            Place::Frame(..) => Place::Frame(octets, false),
            other => other,
        }
    }

    /// Out of step: a frame that cannot be chance.
    fn found(&self, physical: &PhysicalChannel, ended: bool) -> Place {
        let (head, octets) = match self.believable(self.at, physical) {
            Ok((head, octets)) if is_expected(&head, physical) => (head, octets),
            Ok(_) => return Place::None,
            Err(place) => return or_none(place, ended),
        };
        let end = self.at + octets;
        if end > self.pending.len() {
            return or_none(Place::Open, ended);
        }
        let confirmed = if physical.check_octets() > 0 && !head.truncated {
            if physical.verifies(&self.pending[self.at..end]) { Place::Frame(octets, true) } else { Place::None }
        } else {
            self.follows(end, physical, ended)
        };
        match confirmed {
            Place::Frame(_, verified) => Place::Frame(octets, verified),
            other => other,
        }
    }

    /// Whether a frame, or the end of the stream, stands where it is said to.
    fn follows(&self, at: usize, physical: &PhysicalChannel, ended: bool) -> Place {
        let left = self.pending.len() - at;
        match self.believable(at, physical) {
            // What is cut off by the end of the stream does not contradict.
            Err(Place::Open) => {
                if ended {
                    Place::Frame(0, false)
                } else {
                    Place::Open
                }
            }
            Err(place) => place,
            Ok((head, octets)) if is_expected(&head, physical) => Place::Frame(octets, false),
            Ok((_, octets)) if physical.check_octets() == 0 || octets > left && ended => Place::None,
            Ok((_, octets)) if octets > left => Place::Open,
            Ok((_, octets)) if physical.verifies(&self.pending[at..at + octets]) => Place::Frame(octets, false),
            Ok(_) => Place::None,
        }
    }

    /// Head and length of the frame that can stand there; or that none can, or that more octets are needed.
    fn believable(&self, at: usize, physical: &PhysicalChannel) -> Result<(Head, usize), Place> {
        let octets = &self.pending[at..];
        if octets.is_empty() {
            return Err(Place::Open);
        }
        let head = read_head(octets, physical).ok_or(Place::Open)?;
        let length = head.believable(physical).ok_or(Place::None)?;
        Ok((head, length))
    }
}

/// At the end of the stream nothing stays open.
fn or_none(place: Place, ended: bool) -> Place {
    if ended && matches!(place, Place::Open) { Place::None } else { place }
}

fn is_expected(head: &Head, physical: &PhysicalChannel) -> bool {
    physical.virtual_channel(head.spacecraft_id, head.virtual_channel_id).is_some()
}
