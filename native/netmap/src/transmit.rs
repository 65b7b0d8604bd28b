//! The sending half.
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use netmap_io_capture::batch::Frames;
use netmap_io_rings::error::{Kind, RingError};

use crate::layout::{BUFFER_CHANGED, MORE_FRAGMENTS};
use crate::port::{PortKind, Shared};
use crate::region::Descriptor;
use crate::ring::{Ring, Trouble};

/// No frame is shorter: devices drop it, or worse.
pub(crate) const ETHERNET_HEADER_OCTETS: usize = 14;
/// How long a wait for room is put off where polling cannot wait for this ring alone.
const OTHER_RINGS: Duration = Duration::from_micros(100);
const VLAN_TAG_OCTETS: usize = 4;
const VLAN_TYPE: [u8; 2] = [0x81, 0x00];

/// What the ring was found with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransmitAccount {
    /// Slots whose buffer was lost and replaced by a spare one.
    pub buffers_replaced: u64,
}

/// The sending half of a port: one ring, so that frames stay in order.
pub struct Transmitter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ring: Option<(usize, Ring)>,
    pub(crate) account: TransmitAccount,
}

impl Transmitter {
    pub(crate) fn new(shared: Arc<Shared>, ring: Option<(usize, Ring)>) -> Self {
        Self { shared, ring, account: TransmitAccount::default() }
    }

    /// Whether the port sends at all.
    pub fn sends(&self) -> bool {
        self.ring.is_some()
    }

    /// Put frames from the front into the ring and let the kernel side look at them; how many there was room for.
    pub fn send(&mut self, frames: &Frames<'_>) -> Result<usize, RingError> {
        self.check_lengths(frames)?;
        let Some((index, ring)) = &mut self.ring else { return Err(receives_only(&self.shared)) };
        self.shared.verify(*index, ring)?;
        let (mut taken, mut looked) = (0, false);
        loop {
            let (placed, state) = place(&self.shared, ring, &mut self.account, frames, taken);
            taken += placed;
            if looked && placed == 0 {
                return if taken > 0 { Ok(taken) } else { state.map(|()| 0) };
            }
            self.shared.sync(*index, true, std::slice::from_mut(ring))?;
            looked = true;
            if taken == frames.len() {
                return Ok(taken);
            }
        }
    }

    /// Whether there is a free slot, waiting for one at most `timeout`; false also where something else ended the wait.
    pub fn wait_for_room(&mut self, timeout: Duration) -> Result<bool, RingError> {
        let Some((index, ring)) = &mut self.ring else { return Err(receives_only(&self.shared)) };
        self.shared.check_up()?;
        if ring.words.room() == 0 {
            self.shared.sync(*index, true, std::slice::from_mut(ring))?;
        }
        if ring.words.room() == 0 && !timeout.is_zero() {
            let begun = Instant::now();
            self.shared.wait_to_send(*index, timeout)?;
            self.shared.sync(*index, true, std::slice::from_mut(ring))?;
            if ring.words.room() == 0 {
                // another ring of the registration has room, and ends each wait at once
                sleep(OTHER_RINGS.min(timeout.saturating_sub(begun.elapsed())));
            }
        }
        Ok(ring.words.room() > 0)
    }

    /// Let the kernel side look at what is in the ring.
    pub fn flush(&mut self) -> Result<(), RingError> {
        match &mut self.ring {
            Some((index, ring)) => Ok(self.shared.sync(*index, true, std::slice::from_mut(ring))?),
            None => Ok(()),
        }
    }

    /// Slots that the kernel side has not given back.
    pub fn waiting(&self) -> u32 {
        self.ring.as_ref().map_or(0, |(_, ring)| ring.words.slots() - 1 - ring.words.held())
    }

    /// What the ring was found with.
    pub fn account(&self) -> TransmitAccount {
        self.account
    }

    /// What the ring said that cannot be.
    pub fn trouble(&self) -> Trouble {
        self.ring.as_ref().map_or_else(Trouble::default, |(_, ring)| ring.trouble())
    }

    /// Say which frame cannot be sent by its length, before any is.
    fn check_lengths(&self, frames: &Frames<'_>) -> Result<(), RingError> {
        let longest = self.shared.longest;
        for (index, pair) in frames.offsets.windows(2).enumerate() {
            let length = (pair[1] - pair[0]) as usize;
            if (ETHERNET_HEADER_OCTETS..=longest).contains(&length) || self.tagged(frames.frame(index)) {
                continue;
            }
            let message = format!(
                "frame {index} has {length} octets; {} takes {ETHERNET_HEADER_OCTETS} to {longest}",
                self.shared.name
            );
            return Err(RingError::new(Kind::Frame, message));
        }
        Ok(())
    }

    /// Whether a frame is longer than the MTU allows by its VLAN tag only, and fits into a buffer.
    fn tagged(&self, frame: &[u8]) -> bool {
        let room = self.ring.as_ref().map_or(0, |(_, ring)| ring.pool.buffer_octets());
        let longest = (self.shared.longest + VLAN_TAG_OCTETS).min(room);
        let network = self.shared.kind == PortKind::Network;
        network && frame.get(12..14) == Some(&VLAN_TYPE) && frame.len() <= longest
    }
}

pub(crate) fn receives_only(shared: &Shared) -> RingError {
    RingError::new(Kind::Unsupported, format!("{}: this port was opened for receiving only", shared.name))
}

/// The buffer of a transmit slot, and the flags that it needs: a spare one where the slot names none.
#[inline(always)]
pub(crate) fn own_buffer(
    shared: &Shared,
    ring: &Ring,
    account: &mut TransmitAccount,
    slot: u32,
) -> Result<(u32, u16), RingError> {
    let buffer = ring.slots.read(slot).buffer;
    if ring.pool.has(buffer) { Ok((buffer, 0)) } else { replace(shared, account, slot) }
}

#[cold]
fn replace(shared: &Shared, account: &mut TransmitAccount, slot: u32) -> Result<(u32, u16), RingError> {
    let lost = || {
        let message = format!(
            "{}: slot {slot} of its transmit ring has lost its buffer, and there is no extra one; open the port anew",
            shared.name
        );
        RingError::new(Kind::System, message)
    };
    let spare = shared.spares().pop().ok_or_else(lost)?;
    account.buffers_replaced += 1;
    Ok((spare, BUFFER_CHANGED))
}

/// Put frames from `first` on into free slots; how many, and what stopped it other than room.
fn place(
    shared: &Shared,
    ring: &mut Ring,
    account: &mut TransmitAccount,
    frames: &Frames<'_>,
    first: usize,
) -> (usize, Result<(), RingError>) {
    let (room, count, masked) = (ring.words.room(), ring.words.slots(), ring.offset_mask() != 0);
    let capacity = ring.pool.buffer_octets().min(usize::from(u16::MAX));
    let offsets = &frames.offsets[first..];
    let filled = ring.pool.fill_frames(&ring.slots, ring.words.cur(), room as usize, frames.octets, offsets, masked);
    let (mut used, mut placed, mut state) = (filled, filled as usize, Ok(()));
    let mut slot = ring.words.after_cur(filled);
    // from the first one that needs several slots, or a buffer, on
    'frames: for pair in offsets[placed..].windows(2) {
        let (mut start, end) = (pair[0] as usize, pair[1] as usize);
        let needed = (end - start).div_ceil(capacity).max(1);
        if needed > (room - used) as usize {
            break;
        }
        let begin = used;
        loop {
            let length = capacity.min(end - start);
            let (buffer, changed) = match own_buffer(shared, ring, account, slot) {
                Ok(own) => own,
                Err(error) => {
                    used = begin;
                    state = Err(error);
                    break 'frames;
                }
            };
            ring.pool.fill(buffer, &frames.octets[start..], length);
            if masked {
                ring.slots.set_pointer(slot, 0);
            }
            start += length;
            let flags = changed | if start < end { MORE_FRAGMENTS } else { 0 };
            ring.slots.write(slot, Descriptor { buffer, length: length as u16, flags });
            slot = if slot + 1 == count { 0 } else { slot + 1 };
            used += 1;
            if start >= end {
                break;
            }
        }
        placed += 1;
    }
    ring.words.pass(used);
    ring.words.release();
    (placed, state)
}
