//! Registering a descriptor, and finding what it gave in the memory region.
use std::io;
use std::sync::Arc;

use netmap_io_rings::memory::Mapping;

use crate::device::{Device, request};
use crate::layout::{Mode, POOLS_INFO_GET, PoolsInfoBody, REGISTER, RegisterBody, flag, interface};
use crate::region::Pool;
use crate::ring::Ring;

/// No port has so many rings of all kinds.
const MOST_RINGS: u32 = 4096;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Flags of `flag`.
    pub flags: u64,
    /// Slots of each ring, sending and receiving; 0: the port's own choice.  Network devices do not listen to it.
    pub slots: (u32, u32),
    /// Rings, sending and receiving; as above.
    pub rings: (u16, u16),
    /// Number of the memory region; 0: the port's own choice.
    pub memory_id: u16,
    /// Buffers beside those in the rings.
    pub extra_buffers: u32,
}

/// A descriptor with its port.
pub(crate) struct Registered {
    pub(crate) device: Box<dyn Device>,
    /// Where the interface record is.
    pub(crate) record: usize,
    pub(crate) memory_octets: usize,
    pub(crate) memory_id: u16,
    pub(crate) extra_buffers: u32,
    /// One more than the greatest buffer index of the region, where the device tells.
    pub(crate) buffers: u32,
}

/// Register `name` on a new descriptor.
pub(crate) fn register(device: Box<dyn Device>, name: &str, mode: Mode, wish: &Wish) -> io::Result<Registered> {
    let mut body = RegisterBody {
        transmit_slots: wish.slots.0,
        receive_slots: wish.slots.1,
        transmit_rings: wish.rings.0,
        receive_rings: wish.rings.1,
        memory_id: wish.memory_id,
        ring: mode.ring(),
        mode: mode.number(),
        extra_buffers: wish.extra_buffers,
        flags: wish.flags | flag::NO_TRANSMIT_IN_POLL,
        ..RegisterBody::default()
    };
    request(device.as_ref(), REGISTER, name, &mut body)?;
    let mut pools = PoolsInfoBody { memory_id: body.memory_id, ..PoolsInfoBody::default() };
    let told = request(device.as_ref(), POOLS_INFO_GET, name, &mut pools).is_ok();
    let number = |value: u64| usize::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG));
    Ok(Registered {
        device,
        record: number(body.offset)?,
        memory_octets: number(body.memory_octets)?,
        memory_id: body.memory_id,
        extra_buffers: body.extra_buffers.min(wish.extra_buffers),
        buffers: if told && pools.buffer_total > 0 { pools.buffer_total } else { u32::MAX },
    })
}

/// The rings of a registration.
pub(crate) struct Rings {
    pub(crate) transmit: Vec<Ring>,
    pub(crate) receive: Vec<Ring>,
}

impl Registered {
    /// The rings that are bound to the descriptor; Err says what is wrong with the memory.
    ///
    /// Counts come from the record itself, whose host rings may be counted though they are not there: offset 0.
    pub(crate) fn rings(&self, memory: &Arc<Mapping>) -> Result<Rings, String> {
        let outside = || "the interface record is not inside the memory region".to_owned();
        let word = |offset: usize| memory.load_acquire(self.record.checked_add(offset)?);
        let count = |offset| word(offset).ok_or_else(outside);
        let (hardware, host) = (count(interface::TRANSMIT_RINGS)?, count(interface::HOST_TRANSMIT_RINGS)?);
        let (hardware_receive, host_receive) =
            (count(interface::RECEIVE_RINGS)?, count(interface::HOST_RECEIVE_RINGS)?);
        let all = [hardware, host, hardware_receive, host_receive];
        if all.iter().any(|&one| one > MOST_RINGS) {
            return Err(format!("the interface record counts {all:?} rings, more than any port has"));
        }
        let mut rings = Rings { transmit: Vec::new(), receive: Vec::new() };
        let transmit = hardware + host;
        for index in 0..transmit + hardware_receive + host_receive {
            let place = self.record.checked_add(interface::RING_OFFSETS + 8 * index as usize).ok_or_else(outside)?;
            let offset = i64::from_ne_bytes(memory.read(place).ok_or_else(outside)?);
            if offset == 0 {
                continue;
            }
            let header = i64::try_from(self.record).ok().and_then(|record| record.checked_add(offset));
            let header = header.and_then(|header| usize::try_from(header).ok());
            let header = header.ok_or_else(|| format!("ring {index} lies before the memory region"))?;
            if index < transmit {
                rings.transmit.push(Ring::attach(memory, header, index, self.buffers)?);
            } else {
                rings.receive.push(Ring::attach(memory, header, index - transmit, self.buffers)?);
            }
        }
        Ok(rings)
    }

    /// The indexes of the extra buffers, as far as the list holds together.
    pub(crate) fn extra(&self, memory: &Mapping, pool: &Pool) -> Vec<u32> {
        let head = self.record.checked_add(interface::FIRST_EXTRA_BUFFER).and_then(|place| memory.load_acquire(place));
        let mut found = Vec::new();
        let mut next = head.unwrap_or(0);
        while found.len() < self.extra_buffers as usize && pool.has(next) {
            found.push(next);
            next = pool.first_word(next).unwrap_or(0);
        }
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() == found.len() { found } else { Vec::new() } // a list in a circle names none
    }

    /// Write the list of extra buffers, which the kernel side frees when the descriptor is closed.
    pub(crate) fn give_back(&self, memory: &Mapping, pool: &Pool, buffers: &[u32]) {
        let mut next = 0;
        for &buffer in buffers {
            pool.set_first_word(buffer, next);
            next = buffer;
        }
        if let Some(place) = self.record.checked_add(interface::FIRST_EXTRA_BUFFER) {
            memory.store_release(place, next);
        }
    }
}
