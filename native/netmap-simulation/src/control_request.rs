//! NIOCCTRL: a header, a body by its type, options.
use crate::abi::{NAME_OCTETS, NEWEST_VERSION, OLDEST_VERSION, header, limit, register as at, request};
use crate::errno::Errno;
use crate::options::Options;
use crate::register::{Request, report};
use crate::shared::Shared;
use crate::tables::{DescriptorState, Name, Objects, name_octets};
use crate::user::{Address, Fields};

/// Octets of a type's body.  Err: no such type.
fn body_octets(kind: u16) -> Result<usize, Errno> {
    Ok(match kind {
        request::REGISTER => at::OCTETS,
        request::PORT_INFO_GET => 32,
        request::VALE_ATTACH | request::POOLS_INFO_GET => 64,
        request::VALE_DETACH | request::VALE_LIST | request::PORT_HDR_SET | request::PORT_HDR_GET => 8,
        request::VALE_NEWIF | request::VALE_POLLING_ENABLE | request::VALE_POLLING_DISABLE => 16,
        request::SYNC_KLOOP_START => 8,
        request::VALE_DELIF | request::SYNC_KLOOP_STOP | request::CSB_ENABLE => 0,
        _ => return Err(Errno(libc::EINVAL)),
    })
}

/// A request as it was read, and what is written back.
pub(crate) struct Control {
    pub(crate) name: Name,
    pub(crate) body: Vec<u8>,
    pub(crate) options: Options,
}

pub(crate) fn answer(shared: &Shared, state: &DescriptorState, argument: Address) -> Result<(), Errno> {
    let mut head = [0; header::OCTETS];
    argument.read(&mut head)?;
    let version = u32::from(head.u16_at(header::VERSION));
    if !(OLDEST_VERSION..=NEWEST_VERSION).contains(&version) || head.u32_at(header::RESERVED) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let kind = head.u16_at(header::TYPE);
    let octets = match body_octets(kind) {
        Ok(octets) => octets,
        Err(error) => return unread(argument, error),
    };
    let mut name = [0; NAME_OCTETS];
    name.copy_from_slice(&head[header::NAME..header::NAME + NAME_OCTETS]);
    name[NAME_OCTETS - 1] = 0;
    let place = Address(head.u64_at(header::BODY));
    let mut body = vec![0; octets];
    if octets != 0 {
        if place == Address(0) {
            return unread(argument, Errno(libc::EINVAL));
        }
        place.read(&mut body)?;
    }
    let options = Options::read(head.u64_at(header::OPTIONS), header::OCTETS + octets, kind)?;
    let mut control = Control { name, body, options };
    let answer = perform(shared, state, kind, &mut control);
    control.options.conclude(answer)?;
    answer?;
    if kind == request::VALE_LIST {
        argument.after(header::NAME).write(&control.name)?;
    }
    if control.body.is_empty() { Ok(()) } else { place.write(&control.body) }
}

/// A request whose body was not looked at; the module leaves its mark in the caller's header.
fn unread(argument: Address, error: Errno) -> Result<(), Errno> {
    argument.after(header::RESERVED).write(&1u32.to_le_bytes())?;
    Err(error)
}

fn perform(shared: &Shared, state: &DescriptorState, kind: u16, control: &mut Control) -> Result<(), Errno> {
    match kind {
        request::REGISTER => {
            let mut wish = of_body(control.name, &control.body);
            wish.offsets = control.options.offsets;
            shared.register(state, &mut wish)?;
            to_body(&wish, &mut control.body);
            Ok(())
        }
        request::PORT_INFO_GET => port_info(shared, control),
        request::POOLS_INFO_GET => pools_info(shared, control),
        request::VALE_ATTACH => shared.attach_device(control),
        request::VALE_DETACH => shared.detach_device(control),
        request::VALE_LIST => shared.list(control),
        request::PORT_HDR_SET => shared.set_header(control),
        request::PORT_HDR_GET => shared.get_header(control),
        request::VALE_NEWIF => shared.new_interface(control),
        request::VALE_DELIF => shared.delete_interface(control),
        // Polling threads and kernel loops would run by themselves: nothing here does.
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

pub(crate) fn of_body(name: Name, body: &[u8]) -> Request {
    Request {
        tx_slots: body.u32_at(at::TX_SLOTS),
        rx_slots: body.u32_at(at::RX_SLOTS),
        tx_rings: body.u16_at(at::TX_RINGS),
        rx_rings: body.u16_at(at::RX_RINGS),
        host_tx_rings: body.u16_at(at::HOST_TX_RINGS),
        host_rx_rings: body.u16_at(at::HOST_RX_RINGS),
        memory_id: body.u16_at(at::MEM_ID),
        ring_id: body.u16_at(at::RING_ID),
        mode: body.u32_at(at::MODE),
        extra_buffers: body.u32_at(at::EXTRA_BUFS),
        flags: body.u64_at(at::FLAGS),
        ..Request::of_name(name)
    }
}

fn to_body(request: &Request, body: &mut [u8]) {
    body.put_u64(at::OFFSET, request.offset);
    body.put_u64(at::MEMSIZE, request.memory_octets);
    body.put_u32(at::TX_SLOTS, request.tx_slots);
    body.put_u32(at::RX_SLOTS, request.rx_slots);
    body.put_u16(at::TX_RINGS, request.tx_rings);
    body.put_u16(at::RX_RINGS, request.rx_rings);
    body.put_u16(at::HOST_TX_RINGS, request.host_tx_rings);
    body.put_u16(at::HOST_RX_RINGS, request.host_rx_rings);
    body.put_u16(at::MEM_ID, request.memory_id);
    body.put_u32(at::EXTRA_BUFS, request.extra_buffers);
}

/// What a port is, or would be if it were registered; without a name, what a region is.
pub(crate) fn information(shared: &Shared, request: &mut Request) -> Result<(), Errno> {
    let control = shared.control();
    let _lock = control.lock.lock();
    if name_octets(&request.name).is_empty() {
        let id = if request.memory_id == 0 { limit::SYSTEM_MEMORY_ID } else { request.memory_id };
        let region = &control.regions[shared.region_by_id(id).ok_or(Errno(libc::EINVAL))?];
        let memory_octets = region.memory_octets.get();
        *request = Request { memory_id: id, memory_octets, ..Request::of_name(request.name) };
        return Ok(());
    }
    let found = shared.resolve(request).and_then(|index| {
        let port = &control.ports[index];
        if port.vanished.is_set() {
            return Err(Errno(libc::ENXIO));
        }
        let region = port.region.index().and_then(|region| control.regions.get(region));
        report(port, region.ok_or(Errno(libc::ENXIO))?, request);
        Ok(())
    });
    shared.collect();
    found
}

fn port_info(shared: &Shared, control: &mut Control) -> Result<(), Errno> {
    let body = &mut control.body;
    let mut request = Request {
        tx_slots: body.u32_at(8),
        rx_slots: body.u32_at(12),
        tx_rings: body.u16_at(16),
        rx_rings: body.u16_at(18),
        memory_id: body.u16_at(24),
        ..Request::of_name(control.name)
    };
    information(shared, &mut request)?;
    body.put_u64(0, request.memory_octets);
    body.put_u32(8, request.tx_slots);
    body.put_u32(12, request.rx_slots);
    body.put_u16(16, request.tx_rings);
    body.put_u16(18, request.rx_rings);
    body.put_u16(20, request.host_tx_rings);
    body.put_u16(22, request.host_rx_rings);
    body.put_u16(24, request.memory_id);
    Ok(())
}

fn pools_info(shared: &Shared, control: &mut Control) -> Result<(), Errno> {
    let tables = shared.control();
    let _lock = tables.lock.lock();
    let body = &mut control.body;
    let memory_id = body.u16_at(8);
    if memory_id != 0 && shared.region_by_id(memory_id).is_none() {
        return Err(Errno(libc::EINVAL));
    }
    let port = shared.resolve(&Request { memory_id, ..Request::of_name(control.name) });
    let found = port.and_then(|port| tables.ports[port].region.index().ok_or(Errno(libc::ENXIO)));
    let Some(region) = tables.regions.get(found.inspect_err(|_| shared.collect())?) else {
        return Err(Errno(libc::ENXIO));
    };
    body.put_u64(0, region.memory_octets.get());
    body.put_u16(8, region.id.get() as u16);
    for (objects, place) in [(Objects::Interfaces, 16), (Objects::Rings, 32), (Objects::Buffers, 48)] {
        let pool = &region.pools[objects as usize];
        body.put_u64(place, pool.offset.get());
        body.put_u32(place + 8, pool.total.get());
        body.put_u32(place + 12, pool.object_octets.get());
    }
    shared.collect(); // a port that was made to be asked about
    Ok(())
}
