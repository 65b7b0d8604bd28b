//! Frames put together out of a piece of a capture: copied out of it, or moved to its front.
use crate::batch::{Annotation, Batch};

/// A short frame is moved with what follows it, in a fixed number of octets, which needs no call to a copying routine.
const SHORT_OCTETS: usize = 64;

/// Columns of frames while a piece is walked.
#[derive(Debug)]
pub(crate) struct Gather {
    in_place: bool,
    octets: Vec<u8>,
    end: usize, // of the frames gathered, in the piece or in `octets`
    frames: usize,
    // one entry per frame and some to spare; offsets[i] is where frame i ends
    offsets: Vec<u64>,
    timestamps_ns: Vec<i64>,
    original_lengths: Vec<u32>,
    interfaces: Vec<u32>,
    /// Options of the frames' blocks.
    pub(crate) annotations: Vec<Annotation>,
}

impl Gather {
    /// Room for `frames` frames; `in_place`: they are moved to the front of the piece that they are in.
    pub(crate) fn new(in_place: bool, frames: usize, octets: usize) -> Self {
        let mut offsets = Vec::with_capacity(frames + 1);
        offsets.resize(frames, 0);
        Self {
            in_place,
            octets: Vec::with_capacity(if in_place { 0 } else { octets }),
            end: 0,
            frames: 0,
            offsets,
            timestamps_ns: vec![0; frames],
            original_lengths: vec![0; frames],
            interfaces: vec![0; frames],
            annotations: Vec::new(),
        }
    }

    /// Frames gathered.
    pub(crate) fn len(&self) -> usize {
        self.frames
    }

    /// Take `piece[from..from + length]`, which is behind everything taken before.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        piece: &mut [u8],
        from: usize,
        length: usize,
        timestamp_ns: i64,
        original_length: u32,
        interface: u32,
    ) {
        let at = self.end;
        self.end = at + length;
        if self.in_place {
            move_down(piece, from, length, at);
        } else {
            copy_out(&mut self.octets, &piece[from..], length);
        }
        let frame = self.frames;
        if frame == self.timestamps_ns.len() {
            self.grow();
        }
        self.offsets[frame] = self.end as u64;
        self.timestamps_ns[frame] = timestamp_ns;
        // a writer that claims fewer octets on the wire than it stored is not believed
        self.original_lengths[frame] = original_length.max(length as u32);
        self.interfaces[frame] = interface;
        self.frames = frame + 1;
    }

    #[cold]
    fn grow(&mut self) {
        let room = (self.frames * 2).max(64);
        self.offsets.resize(room, 0);
        self.timestamps_ns.resize(room, 0);
        self.original_lengths.resize(room, 0);
        self.interfaces.resize(room, 0);
    }

    /// The frames as a batch.  `piece` holds them where they were gathered in place.
    pub(crate) fn finish(mut self, piece: Vec<u8>) -> Batch {
        let mut octets = if self.in_place { piece } else { self.octets };
        octets.truncate(self.end);
        if octets.capacity() / 2 > octets.len() {
            octets.shrink_to_fit(); // whoever keeps the batch does not keep the whole piece
        }
        self.offsets.truncate(self.frames);
        self.offsets.insert(0, 0);
        self.timestamps_ns.truncate(self.frames);
        self.original_lengths.truncate(self.frames);
        self.interfaces.truncate(self.frames);
        Batch {
            octets,
            offsets: self.offsets,
            timestamps_ns: self.timestamps_ns,
            original_lengths: self.original_lengths,
            interfaces: self.interfaces,
            annotations: self.annotations,
        }
    }
}

#[inline(always)]
fn copy_out(octets: &mut Vec<u8>, rest: &[u8], length: usize) {
    let end = octets.len() + length;
    match rest.first_chunk::<SHORT_OCTETS>() {
        Some(chunk) if length <= SHORT_OCTETS => {
            octets.extend_from_slice(chunk);
            octets.truncate(end);
        }
        _ => octets.extend_from_slice(&rest[..length]),
    }
}

#[inline(always)]
fn move_down(piece: &mut [u8], from: usize, length: usize, at: usize) {
    // what follows the frame is not read yet: a fixed number of octets may only fall on what was
    if length <= SHORT_OCTETS
        && at + SHORT_OCTETS <= from + length
        && let Some(&chunk) = piece[from..].first_chunk::<SHORT_OCTETS>()
    {
        piece[at..at + SHORT_OCTETS].copy_from_slice(&chunk);
    } else {
        piece.copy_within(from..from + length, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_gather_the_same_and_leave_what_is_not_read() {
        let whole: Vec<u8> = (0..4000u32).map(|i| (i * 7 + i / 256) as u8).collect();
        let mut seed = 1u32;
        for _ in 0..200 {
            let (mut copied, mut moved) = (Gather::new(false, 0, 0), Gather::new(true, 3, 0));
            let (mut piece, mut at) = (whole.clone(), 0);
            loop {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (header, length) = (1 + (seed >> 28) as usize, (seed >> 12) as usize % 150);
                if at + header + length > piece.len() {
                    break;
                }
                assert_eq!(piece[at..], whole[at..]);
                copied.push(&mut whole.clone(), at + header, length, at as i64, 0, seed);
                moved.push(&mut piece, at + header, length, at as i64, 0, seed);
                at += header + length;
            }
            assert_eq!(copied.finish(Vec::new()), moved.finish(piece));
        }
    }
}
