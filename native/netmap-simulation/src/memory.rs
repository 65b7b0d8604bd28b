//! Regions: what a user maps, and the interface records, rings and buffers handed out of it.
use crate::abi::limit;
use crate::errno::Errno;
use crate::shared::{DATA_START, FILE_OCTETS, Shared};
use crate::tables::{Objects, Region};

/// What a private region is sized for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) tx_slots: u32,
    pub(crate) rx_slots: u32,
    pub(crate) tx_rings: u32,
    pub(crate) rx_rings: u32,
    pub(crate) extra_buffers: u32,
}

/// Number and size of the objects of each pool, in the order of the region.
pub(crate) type Geometry = [(u32, u32); 3];

/// The region of all network devices.
pub(crate) const SYSTEM_GEOMETRY: Geometry =
    [(100, limit::INTERFACE_OCTETS), (200, 36864), (163_840, limit::BUFFER_OCTETS)];

/// Pipes that a private region has room for beside its port.
const PIPES: u32 = 2;
/// Smallest pools of a private region.
const SMALLEST_RING_OCTETS: u32 = 20480;
const FEWEST_BUFFERS: u32 = 4098;

/// The pools of a private region: room for the port with its host rings, and for two pipes.
pub(crate) fn private_geometry(wish: &Wish) -> Geometry {
    geometry(wish, PIPES)
}

/// The pools of a monitor's region: nothing is under it.
pub(crate) fn monitor_geometry(wish: &Wish) -> Geometry {
    geometry(wish, 0)
}

fn geometry(wish: &Wish, pipes: u32) -> Geometry {
    let (tx_rings, rx_rings) = (wish.tx_rings + 1, wish.rx_rings + 1);
    let interfaces = (2 + 4 * pipes).next_multiple_of(limit::PAGE as u32 / limit::INTERFACE_OCTETS);
    let slots = wish.tx_slots.max(wish.rx_slots);
    let ring_octets = (256 + 16 * slots).max(SMALLEST_RING_OCTETS).next_multiple_of(64);
    // Objects come in clusters of whole pages.
    let cluster = limit::PAGE as u32 / (1 << ring_octets.trailing_zeros().min(limit::PAGE.trailing_zeros()));
    let rings = (tx_rings + rx_rings + 8 * pipes).next_multiple_of(cluster);
    let pairs = 4 * pipes;
    let buffers = (pairs + rx_rings) * wish.rx_slots + (pairs + tx_rings) * wish.tx_slots;
    let buffers = (buffers + limit::FIRST_BUFFER + wish.extra_buffers).max(FEWEST_BUFFERS).next_multiple_of(2);
    [(interfaces, limit::INTERFACE_OCTETS), (rings, ring_octets), (buffers, limit::BUFFER_OCTETS)]
}

/// Octets that a user maps.
pub(crate) fn memory_octets(geometry: &Geometry) -> u64 {
    geometry.iter().map(|&(total, octets)| u64::from(total) * u64::from(octets)).sum()
}

impl Shared {
    /// Make a region.  Called with the control lock held.
    pub(crate) fn create_region(&self, id: u16, geometry: &Geometry) -> Result<usize, Errno> {
        let control = self.control();
        let free = control.regions.iter().position(|region| !region.used.is_set()).ok_or(Errno(libc::ENOMEM))?;
        let bitmap_octets: u64 = geometry.iter().map(|&(total, _)| u64::from(total.div_ceil(32)) * 4).sum();
        let bitmap_octets = bitmap_octets.next_multiple_of(limit::PAGE);
        let memory = memory_octets(geometry);
        let start = self.room(bitmap_octets + memory).ok_or(Errno(libc::ENOMEM))?;
        let region = &control.regions[free];
        let (mut bitmap, mut offset) = (start, 0);
        for (pool, &(total, octets)) in region.pools.iter().zip(geometry) {
            pool.offset.set(offset);
            pool.total.set(total);
            pool.object_octets.set(octets);
            pool.free.set(total);
            pool.bitmap.set(bitmap);
            (0..total.div_ceil(32)).for_each(|word| self.store(bitmap + u64::from(word) * 4, 0));
            bitmap += u64::from(total.div_ceil(32)) * 4;
            offset += u64::from(total) * u64::from(octets);
        }
        region.id.set(id.into());
        region.holders.set(0);
        region.exhausted.set(0);
        region.file_start.set(start);
        region.file_octets.set(bitmap_octets + memory);
        region.base.set(start + bitmap_octets);
        region.memory_octets.set(memory);
        region.used.set(1);
        self.allocate(region, Objects::Buffers, limit::FIRST_BUFFER)?; // the first ones are nobody's
        Ok(free)
    }

    /// The first stretch of the file that no region has.
    fn room(&self, octets: u64) -> Option<u64> {
        let used = || self.control().regions.iter().filter(|region| region.used.is_set());
        let ends = used().map(|region| region.file_start.get() + region.file_octets.get());
        let fits = |&start: &u64| {
            start + octets <= FILE_OCTETS
                && used().all(|region| {
                    let (first, length) = (region.file_start.get(), region.file_octets.get());
                    start >= first + length || start + octets <= first
                })
        };
        std::iter::once(DATA_START).chain(ends).filter(fits).min()
    }

    /// The next identifier that no region has.
    pub(crate) fn new_region_id(&self) -> u16 {
        let control = self.control();
        loop {
            let id = control.last_region_id.add(1) as u16;
            if id > limit::SYSTEM_MEMORY_ID && self.region_by_id(id).is_none() {
                return id;
            }
        }
    }

    pub(crate) fn region_by_id(&self, id: u16) -> Option<usize> {
        let wanted = |region: &Region| region.used.is_set() && region.id.get() == u32::from(id);
        self.control().regions.iter().position(wanted)
    }

    /// One holder less; a region that nobody holds goes, but for the devices' own.
    pub(crate) fn leave_region(&self, index: usize) {
        let Some(region) = self.control().regions.get(index) else { return };
        region.holders.set(region.holders.get().saturating_sub(1));
        if region.holders.get() == 0 && region.id.get() != u32::from(limit::SYSTEM_MEMORY_ID) {
            // Where the file system cannot, old octets stay: users of the real one see those too.
            let _kept = self.discard(region.file_start.get(), region.file_octets.get());
            region.used.set(0);
        }
    }

    /// `count` objects of a pool, lowest first; all or none.
    pub(crate) fn allocate(&self, region: &Region, objects: Objects, count: u32) -> Result<Vec<u32>, Errno> {
        let pool = &region.pools[objects as usize];
        if region.exhausted.is_set() || pool.free.get() < count {
            return Err(Errno(libc::ENOMEM));
        }
        let total = pool.total.get();
        let mut found = Vec::with_capacity(count as usize);
        for word in 0..total.div_ceil(32) {
            if found.len() == count as usize {
                break;
            }
            let place = pool.bitmap.get() + u64::from(word) * 4;
            let mut bits = self.load(place);
            while found.len() < count as usize && bits != u32::MAX {
                let bit = (!bits).trailing_zeros();
                if word * 32 + bit >= total {
                    break;
                }
                bits |= 1 << bit;
                found.push(word * 32 + bit);
            }
            self.store(place, bits);
        }
        pool.free.set(pool.free.get().saturating_sub(found.len() as u32));
        if found.len() == count as usize {
            return Ok(found);
        }
        found.iter().for_each(|&index| self.release(region, objects, index));
        Err(Errno(libc::ENOMEM))
    }

    /// Give an object back.  What was not handed out, or names nothing, is left alone.
    pub(crate) fn release(&self, region: &Region, objects: Objects, index: u32) {
        let pool = &region.pools[objects as usize];
        let lowest = if objects == Objects::Buffers { limit::FIRST_BUFFER } else { 0 };
        if index < lowest || index >= pool.total.get() {
            return;
        }
        let place = pool.bitmap.get() + u64::from(index / 32) * 4;
        let (bits, bit) = (self.load(place), 1 << (index % 32));
        if bits & bit != 0 {
            self.store(place, bits & !bit);
            pool.free.set(pool.free.get() + 1);
        }
    }
}

impl Region {
    /// Where object `index` of a pool begins, in the file.
    pub(crate) fn object(&self, objects: Objects, index: u32) -> u64 {
        let pool = &self.pools[objects as usize];
        self.base.get() + pool.offset.get() + u64::from(index) * u64::from(pool.object_octets.get())
    }

    /// Where buffer `index` begins, in the file; an index that names none means buffer 0.
    #[inline(always)]
    pub(crate) fn buffer(&self, index: u32) -> u64 {
        let pool = &self.pools[Objects::Buffers as usize];
        let index = if index < pool.total.get() { index } else { 0 };
        self.base.get() + pool.offset.get() + u64::from(index) * u64::from(limit::BUFFER_OCTETS)
    }

    pub(crate) fn buffers(&self) -> u32 {
        self.pools[Objects::Buffers as usize].total.get()
    }

    pub(crate) fn is_private(&self) -> bool {
        self.id.get() != u32::from(limit::SYSTEM_MEMORY_ID)
    }
}
