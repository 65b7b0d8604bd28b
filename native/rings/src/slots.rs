//! Frames that lie in a ring, told by where they are.
use netmap_io_capture::batch::Batch;

use crate::memory::Mapping;

/// One frame in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Octets from the start of the mapping.
    pub offset: usize,
    /// Octets that are there.
    pub length: usize,
    /// Octets on the wire.
    pub original_length: u32,
    /// Nanoseconds since 1970, -1 when unknown.
    pub timestamp_ns: i64,
    /// Number of the queue it came by.
    pub interface: u32,
}

impl Slot {
    /// Copy the frame to the end of `batch`.  False: it is not inside the mapping.
    #[inline(always)]
    pub fn append_to(&self, memory: &Mapping, batch: &mut Batch) -> bool {
        if !memory.append_to(self.offset, self.length, &mut batch.octets) {
            return false;
        }
        batch.offsets.push(batch.octets.len() as u64);
        batch.timestamps_ns.push(self.timestamp_ns);
        batch.original_lengths.push(self.original_length.max(self.length as u32));
        batch.interfaces.push(self.interface);
        true
    }
}

/// Copy all of `slots` into one batch; what is not inside the mapping is left out.
pub fn gather(memory: &Mapping, slots: &[Slot]) -> Batch {
    let octets = slots.iter().map(|slot| slot.length).sum::<usize>();
    let mut batch = Batch::with_capacity(slots.len(), octets + 64);
    for slot in slots {
        slot.append_to(memory, &mut batch);
    }
    batch
}
