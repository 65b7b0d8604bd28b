//! The calls of before API 14, as the module still takes them: turned into a registration of today.
use crate::abi::{OLDEST_VERSION, legacy as at, mode, register_flag};
use crate::control_request::information;
use crate::errno::Errno;
use crate::register::Request;
use crate::shared::Shared;
use crate::tables::{DescriptorState, name_octets, name_of};
use crate::user::{Address, Fields};

fn read(argument: Address) -> Result<[u8; at::OCTETS], Errno> {
    let mut octets = [0; at::OCTETS];
    argument.read(&mut octets)?;
    if octets.u32_at(at::VERSION) < OLDEST_VERSION {
        return Err(Errno(libc::EINVAL));
    }
    Ok(octets)
}

fn write(argument: Address, mut octets: [u8; at::OCTETS], request: &Request) -> Result<(), Errno> {
    octets.put_u32(at::OFFSET, request.offset as u32);
    octets.put_u32(at::MEMSIZE, request.memory_octets as u32);
    octets.put_u32(at::TX_SLOTS, request.tx_slots);
    octets.put_u32(at::RX_SLOTS, request.rx_slots);
    octets.put_u16(at::TX_RINGS, request.tx_rings);
    octets.put_u16(at::RX_RINGS, request.rx_rings);
    octets.put_u16(at::ARGUMENT_2, request.memory_id);
    octets.put_u32(at::ARGUMENT_3, request.extra_buffers);
    argument.write(&octets)
}

fn common(octets: &[u8]) -> Request {
    let name = octets.get(at::NAME..at::NAME + 15).unwrap_or_default();
    Request {
        tx_slots: octets.u32_at(at::TX_SLOTS),
        rx_slots: octets.u32_at(at::RX_SLOTS),
        tx_rings: octets.u16_at(at::TX_RINGS),
        rx_rings: octets.u16_at(at::RX_RINGS),
        memory_id: octets.u16_at(at::ARGUMENT_2),
        extra_buffers: octets.u32_at(at::ARGUMENT_3),
        ..Request::of_name(name_of(name))
    }
}

/// NIOCREGIF.
pub(crate) fn register(shared: &Shared, state: &DescriptorState, argument: Address) -> Result<(), Errno> {
    let octets = read(argument)?;
    match octets.u16_at(at::COMMAND) {
        at::REGISTER => {}
        at::HOST_PASS_THROUGH_BEGIN | at::HOST_PASS_THROUGH_END => return Err(Errno(libc::ENOMEM)),
        _ => return Err(Errno(libc::EINVAL)),
    }
    let (ring_id, flags) = (octets.u16_at(at::RING_ID), octets.u32_at(at::FLAGS));
    let mut request = common(&octets);
    request.ring_id = ring_id & at::RING_ID_MASK;
    request.flags = u64::from(flags & !at::MODE_MASK);
    if ring_id & at::RING_ID_NO_TX_POLL != 0 {
        request.flags |= register_flag::NO_TX_POLL;
    }
    if ring_id & at::RING_ID_DO_RX_POLL != 0 {
        request.flags |= register_flag::DO_RX_POLL;
    }
    let separator = match flags & at::MODE_MASK {
        mode::PIPE_MASTER => Some('{'),
        mode::PIPE_SLAVE => Some('}'),
        _ => None,
    };
    request.mode = match flags & at::MODE_MASK {
        mode::DEFAULT if ring_id & at::RING_ID_NIC != 0 => mode::ONE_NIC,
        mode::DEFAULT if ring_id & at::RING_ID_HOST != 0 => mode::SW,
        mode::DEFAULT | mode::PIPE_MASTER | mode::PIPE_SLAVE => mode::ALL_NIC,
        other => other,
    };
    if let Some(separator) = separator {
        let parent = String::from_utf8_lossy(name_octets(&request.name)).into_owned();
        request.name = name_of(format!("{parent}{separator}{}", request.ring_id).as_bytes());
        request.ring_id = 0;
    }
    shared.register(state, &mut request)?;
    write(argument, octets, &request)
}

/// NIOCGINFO.
pub(crate) fn info(shared: &Shared, argument: Address) -> Result<(), Errno> {
    let octets = read(argument)?;
    let mut request = common(&octets);
    information(shared, &mut request)?;
    write(argument, octets, &request)
}
