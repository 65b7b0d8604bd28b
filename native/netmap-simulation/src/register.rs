//! Registering a port to a descriptor, and undoing it.
use crate::abi::{DEVICE_NAME_OCTETS, limit, mode, record, register_flag as flag};
use crate::errno::Errno;
use crate::memory::Wish;
use crate::shared::Shared;
use crate::tables::{DescriptorState, Kind, Name, Objects, Port, Region, Word, name_octets};

/// The offsets option, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) maximum: u64,
    pub(crate) initial: u64,
    pub(crate) mask: u64,
}

/// What is asked; what is granted is written over it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) name: Name,
    pub(crate) tx_slots: u32,
    pub(crate) rx_slots: u32,
    pub(crate) tx_rings: u16,
    pub(crate) rx_rings: u16,
    pub(crate) host_tx_rings: u16,
    pub(crate) host_rx_rings: u16,
    pub(crate) memory_id: u16,
    pub(crate) ring_id: u16,
    pub(crate) mode: u32,
    pub(crate) extra_buffers: u32,
    pub(crate) flags: u64,
    pub(crate) offsets: Option<Offsets>,
    pub(crate) offset: u64,
    pub(crate) memory_octets: u64,
}

impl Request {
    pub(crate) fn of_name(name: Name) -> Self {
        Self {
            name,
            tx_slots: 0,
            rx_slots: 0,
            tx_rings: 0,
            rx_rings: 0,
            host_tx_rings: 0,
            host_rx_rings: 0,
            memory_id: 0,
            ring_id: 0,
            mode: mode::ALL_NIC,
            extra_buffers: 0,
            flags: 0,
            offsets: None,
            offset: 0,
            memory_octets: 0,
        }
    }

    /// What a port made for this request is sized after: zeros are defaults, what is too much is cut.
    pub(crate) fn wish(&self) -> Wish {
        let slots = |wished| if wished == 0 { limit::DEFAULT_SLOTS } else { limit::SLOTS.min(wished) };
        let rings = |wished: u16| if wished == 0 { 1 } else { limit::RINGS.min(wished.into()) };
        Wish {
            tx_slots: slots(self.tx_slots),
            rx_slots: slots(self.rx_slots),
            tx_rings: rings(self.tx_rings),
            rx_rings: rings(self.rx_rings),
            extra_buffers: self.extra_buffers.min(limit::EXTRA_BUFS),
        }
    }
}

/// Rings of a port's table, as a range in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranges {
    tx: (u32, u32),
    rx: (u32, u32),
}

impl Shared {
    /// Bind the port that the request names to the descriptor.
    pub(crate) fn register(&self, state: &DescriptorState, request: &mut Request) -> Result<(), Errno> {
        let _lock = self.control().lock.lock();
        self.reap_locked();
        if state.port.is_set() {
            return Err(Errno(libc::EBUSY));
        }
        let answer = self.register_locked(state, request);
        if answer.is_err() {
            self.collect();
        }
        answer
    }

    fn register_locked(&self, state: &DescriptorState, request: &mut Request) -> Result<(), Errno> {
        let monitors = flag::MONITOR_TX | flag::MONITOR_RX | flag::ZERO_COPY_MONITOR;
        let is_monitor = request.flags & monitors != 0;
        let index = match request.mode {
            mode::ALL_NIC..=mode::ONE_NIC | mode::ONE_SW if is_monitor => self.resolve_monitor(request)?,
            mode::ALL_NIC..=mode::ONE_NIC | mode::ONE_SW => self.resolve(request)?,
            mode::NULL => self.resolve_null(request)?,
            _ => return Err(Errno(libc::EINVAL)),
        };
        let control = self.control();
        let port = &control.ports[index];
        if !is_monitor {
            check(port, request)?;
        }
        let ranges = ranges(port, request)?;
        let region_index = port.region.index().ok_or(Errno(libc::ENXIO))?;
        let region = control.regions.get(region_index).ok_or(Errno(libc::ENXIO))?;
        self.claim_rings(index, ranges, request)?;
        port.users.add(1); // from here on the port stays while we undo
        let record = match self.allocate(region, Objects::Interfaces, 1) {
            Ok(record) => record[0],
            Err(error) => {
                self.leave_rings(port, ranges);
                port.users.add(u32::MAX);
                return Err(error);
            }
        };
        let extra = self.extra_buffers(region, request.extra_buffers);
        self.write_record(region, record, port, ranges, extra.first().copied().unwrap_or(0));
        state.record.set(record);
        state.mode.set(request.mode);
        state.flags.set(request.flags);
        state.tx_first.set(ranges.tx.0);
        state.tx_end.set(ranges.tx.1);
        state.rx_first.set(ranges.rx.0);
        state.rx_end.set(ranges.rx.1);
        state.extra_buffers.set(extra.len() as u32);
        state.region.refer(Some(region_index));
        state.port.refer(Some(index));
        report(port, region, request);
        request.offset = region.object(Objects::Interfaces, record) - region.base.get();
        request.extra_buffers = extra.len() as u32;
        Ok(())
    }

    /// A port that is memory and nothing else.
    fn resolve_null(&self, request: &Request) -> Result<usize, Errno> {
        let region = self.region_by_id(request.memory_id).filter(|_| request.memory_id != 0);
        let index = self.new_port(Kind::Null, &request.name, region.ok_or(Errno(libc::EINVAL))?)?;
        let port = &self.control().ports[index];
        let wish = request.wish();
        port.size(&Wish { tx_rings: request.tx_rings.into(), rx_rings: request.rx_rings.into(), ..wish });
        if u32::from(request.tx_rings.max(request.rx_rings)) > limit::RINGS {
            return Err(Errno(libc::EINVAL));
        }
        Ok(index)
    }

    /// Make the rings of the ranges that are not there yet, and count us among their users.
    fn claim_rings(&self, index: usize, ranges: Ranges, request: &Request) -> Result<(), Errno> {
        let control = self.control();
        let port = &control.ports[index];
        let exclusive = request.flags & flag::EXCLUSIVE != 0;
        let sides = || [(false, ranges.rx, &port.rx), (true, ranges.tx, &port.tx)];
        for (_, range, table) in sides() {
            let existing = range_of(table, range).filter_map(|cell| control.rings.get(cell.index()?));
            for ring in existing {
                if ring.users.is_set() && (exclusive || ring.exclusive.is_set()) {
                    return Err(Errno(libc::EBUSY));
                }
            }
        }
        self.make_rings(index, ranges).inspect_err(|_| self.drop_unused_rings(port))?;
        for (_, range, table) in sides() {
            for ring in range_of(table, range).filter_map(|cell| control.rings.get(cell.index()?)) {
                ring.users.add(1);
                ring.exclusive.set(exclusive.into());
            }
        }
        Ok(())
    }

    /// The rings of the ranges that are not there: receiving ones first; of a pipe, then the other end's, in the same buffers.
    fn make_rings(&self, index: usize, ranges: Ranges) -> Result<(), Errno> {
        let control = self.control();
        let port = &control.ports[index];
        for (is_tx, range, table) in [(false, ranges.rx, &port.rx), (true, ranges.tx, &port.tx)] {
            for (number, cell) in table.iter().enumerate().take(range.1 as usize).skip(range.0 as usize) {
                if !cell.is_set() {
                    cell.refer(Some(self.create_ring(index, is_tx, number, None)?));
                }
            }
        }
        let Some(other) = port.peer.index().filter(|_| Kind::of(port.kind.get()) == Some(Kind::Pipe)) else {
            return Ok(());
        };
        let twin = control.ports.get(other).ok_or(Errno(libc::ENXIO))?;
        for (is_tx, range, own, others) in
            [(false, ranges.tx, &port.tx, &twin.rx), (true, ranges.rx, &port.rx, &twin.tx)]
        {
            for (number, cell) in others.iter().enumerate().take(range.1 as usize).skip(range.0 as usize) {
                let source = own.get(number).and_then(Word::index).filter(|_| !cell.is_set());
                let Some((source, ring)) = source.and_then(|source| Some((source, control.rings.get(source)?))) else {
                    continue;
                };
                let made = self.create_ring(other, is_tx, number, Some(ring))?;
                cell.refer(Some(made));
                ring.peer.refer(Some(made));
                control.rings[made].peer.refer(Some(source));
            }
        }
        Ok(())
    }

    fn leave_rings(&self, port: &Port, ranges: Ranges) {
        let control = self.control();
        for (range, table) in [(ranges.rx, &port.rx), (ranges.tx, &port.tx)] {
            for ring in range_of(table, range).filter_map(|cell| control.rings.get(cell.index()?)) {
                ring.users.set(ring.users.get().saturating_sub(1));
                if !ring.users.is_set() {
                    ring.exclusive.set(0);
                }
            }
        }
        self.drop_unused_rings(port);
    }

    /// A pipe's rings stay until both ends are closed, with what is in them.
    fn drop_unused_rings(&self, port: &Port) {
        if Kind::of(port.kind.get()) == Some(Kind::Pipe) {
            return;
        }
        for cell in port.tx.iter().chain(&port.rx) {
            let unused = |&index: &usize| self.control().rings.get(index).is_some_and(|ring| !ring.users.is_set());
            if let Some(index) = cell.index().filter(unused) {
                cell.refer(None);
                self.destroy_ring_of(port, index);
            }
        }
    }

    /// As many as there are of those wanted, chained: the last is the first of the chain.
    fn extra_buffers(&self, region: &Region, wanted: u32) -> Vec<u32> {
        let free = region.pools[Objects::Buffers as usize].free.get();
        let mut found =
            self.allocate(region, Objects::Buffers, wanted.min(free).min(limit::EXTRA_BUFS)).unwrap_or_default();
        found.reverse();
        for (position, &index) in found.iter().enumerate() {
            self.store(region.buffer(index), found.get(position + 1).copied().unwrap_or(0));
        }
        found
    }

    fn write_record(&self, region: &Region, index: u32, port: &Port, ranges: Ranges, extra: u32) {
        let place = region.object(Objects::Interfaces, index);
        (0..u64::from(limit::INTERFACE_OCTETS)).step_by(8).for_each(|at| self.store_long(place + at, 0));
        let name = port.name.get();
        let name = name_octets(&name);
        self.write(place + record::NAME, &name[..name.len().min(DEVICE_NAME_OCTETS - 1)]);
        self.store(place + record::FLAGS, if region.is_private() { record::PRIVATE_MEMORY } else { 0 });
        let (tx, rx) = (port.tx_rings.get(), port.rx_rings.get());
        self.store(place + record::TX_RINGS, tx);
        self.store(place + record::RX_RINGS, rx);
        self.store(place + record::BUFS_HEAD, extra);
        // At least one of the host's is counted, even where the kind has none.
        let (host_tx, host_rx) = (port.host_tx_rings.get().max(1), port.host_rx_rings.get().max(1));
        self.store(place + record::HOST_TX_RINGS, host_tx);
        self.store(place + record::HOST_RX_RINGS, host_rx);
        let mut at = place + record::RING_OFFSETS;
        for (table, count, range) in [(&port.tx, tx + host_tx, ranges.tx), (&port.rx, rx + host_rx, ranges.rx)] {
            for (number, cell) in (0..count).zip(table) {
                let bound = (range.0..range.1).contains(&number);
                let ring = cell.index().filter(|_| bound).and_then(|ring| self.control().rings.get(ring));
                self.store_long(at, ring.map_or(0, |ring| ring.header.get().wrapping_sub(place)));
                at += 8;
            }
        }
    }

    /// Release all that a descriptor holds.
    pub(crate) fn unregister(&self, state: &DescriptorState) {
        let control = self.control();
        let port = state.port.index().and_then(|index| control.ports.get(index));
        let region = state.region.index().and_then(|index| control.regions.get(index));
        let (Some(port), Some(region)) = (port, region) else { return };
        self.free_extra_buffers(state, region);
        self.release(region, Objects::Interfaces, state.record.get());
        let ranges =
            Ranges { tx: (state.tx_first.get(), state.tx_end.get()), rx: (state.rx_first.get(), state.rx_end.get()) };
        state.port.refer(None);
        state.region.refer(None);
        port.users.set(port.users.get().saturating_sub(1));
        self.leave_rings(port, ranges);
        if !port.users.is_set() {
            port.offsets_off();
        }
        self.collect();
    }

    /// The list that the user left, as far as it names buffers, and no more of them than were granted.
    fn free_extra_buffers(&self, state: &DescriptorState, region: &Region) {
        let mut next = self.load(region.object(Objects::Interfaces, state.record.get()) + record::BUFS_HEAD);
        for _ in 0..state.extra_buffers.get() {
            if next < limit::FIRST_BUFFER || next >= region.buffers() {
                break;
            }
            let index = next;
            next = self.load(region.buffer(index));
            self.release(region, Objects::Buffers, index);
        }
        state.extra_buffers.set(0);
    }
}

fn range_of(table: &[Word], range: (u32, u32)) -> impl Iterator<Item = &Word> {
    table.iter().take(range.1 as usize).skip(range.0 as usize)
}

/// Whether the port can be had for this request.
fn check(port: &Port, request: &Request) -> Result<(), Errno> {
    let kind = Kind::of(port.kind.get()).ok_or(Errno(libc::ENXIO))?;
    if port.vanished.is_set() {
        return Err(Errno(libc::ENXIO));
    }
    if kind == Kind::Hardware {
        if port.taken.is_set() || port.switch.is_set() {
            return Err(Errno(libc::EBUSY));
        }
        if port.mtu.get() > limit::MTU {
            return Err(Errno(libc::EINVAL));
        }
        if request.memory_id > limit::SYSTEM_MEMORY_ID {
            return Err(Errno(libc::EINVAL));
        }
        if !port.users.is_set() {
            let rings = |wished: u16| limit::RINGS.min(wished.into()).max(1);
            port.host_tx_rings.set(rings(request.host_tx_rings));
            port.host_rx_rings.set(rings(request.host_rx_rings));
        }
    }
    if port.header_octets.get() != 0 && request.flags & flag::ACCEPT_HEADER == 0 {
        return Err(Errno(libc::EIO));
    }
    if !port.users.is_set() {
        port.offset_asked.set(request.offsets.is_some().into());
    }
    let Some(offsets) = request.offsets else {
        if !port.users.is_set() {
            port.offsets_off(); // what a registration that failed may have left
        }
        return Ok(());
    };
    let as_they_are = port.offset_mask.get() == offsets.mask
        && u64::from(port.offset_max.get()) == offsets.maximum
        && u64::from(port.offset_initial.get()) == offsets.initial;
    if as_they_are {
        return Ok(());
    }
    if port.users.is_set() || kind == Kind::Pipe {
        return Err(Errno(libc::EINVAL));
    }
    port.set_offsets(request)
}

fn ranges(port: &Port, request: &Request) -> Result<Ranges, Errno> {
    let (tx, rx) = (port.tx_rings.get(), port.rx_rings.get());
    let (host_tx, host_rx) = (port.host_tx_rings.get(), port.host_rx_rings.get());
    let one = u32::from(request.ring_id);
    let with_host = |range: Ranges| if host_tx == 0 { Err(Errno(libc::EINVAL)) } else { Ok(range) };
    let mut ranges = match request.mode {
        mode::ALL_NIC => Ranges { tx: (0, tx), rx: (0, rx) },
        mode::SW => with_host(Ranges { tx: (tx, tx + host_tx), rx: (rx, rx + host_rx) })?,
        mode::NIC_SW => with_host(Ranges { tx: (0, tx + host_tx), rx: (0, rx + host_rx) })?,
        mode::ONE_NIC if one < tx.max(rx) => {
            let pick = |count| if one < count { (one, one + 1) } else { (0, 1.min(count)) };
            Ranges { tx: pick(tx), rx: pick(rx) }
        }
        mode::ONE_SW if one < host_tx.max(host_rx) => {
            let pick = |first, count| (first + one.min(count - 1), first + one.min(count - 1) + 1);
            Ranges { tx: pick(tx, host_tx), rx: pick(rx, host_rx) }
        }
        mode::NULL => Ranges { tx: (0, tx), rx: (0, rx) },
        _ => return Err(Errno(libc::EINVAL)),
    };
    if request.flags & flag::TX_RINGS_ONLY != 0 {
        ranges.rx = (0, 0);
    }
    if request.flags & flag::RX_RINGS_ONLY != 0 {
        ranges.tx = (0, 0);
    }
    Ok(ranges)
}

/// What a port is, over what was wished.
pub(crate) fn report(port: &Port, region: &Region, request: &mut Request) {
    request.memory_octets = region.memory_octets.get();
    request.memory_id = region.id.get() as u16;
    request.tx_slots = port.tx_slots.get();
    request.rx_slots = port.rx_slots.get();
    request.tx_rings = port.tx_rings.get() as u16;
    request.rx_rings = port.rx_rings.get() as u16;
    request.host_tx_rings = port.host_tx_rings.get() as u16;
    request.host_rx_rings = port.host_rx_rings.get() as u16;
}

impl Port {
    fn offsets_off(&self) {
        if Kind::of(self.kind.get()) != Some(Kind::Pipe) {
            self.offset_mask.set(0);
            self.offset_max.set(0);
            self.offset_initial.set(0);
        }
    }
}
