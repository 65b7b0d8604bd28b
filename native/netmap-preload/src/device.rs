//! What programs ask about a network device through a socket, where the device is one of the simulation.
use std::ffi::{c_int, c_ulong, c_void};

use crate::{set_errno, simulation};

const NAME_OCTETS: usize = 16;
const ETHERNET: u16 = 1;

/// None: not a question about a simulated device.
///
/// # Safety
/// As for `ioctl` with these arguments.
pub(crate) unsafe fn answer(request: c_ulong, argument: *mut c_void) -> Option<c_int> {
    let known = [libc::SIOCGIFMTU, libc::SIOCGIFFLAGS, libc::SIOCSIFFLAGS, libc::SIOCGIFHWADDR, libc::SIOCETHTOOL];
    if argument.is_null() || !known.contains(&request) || std::env::var_os(crate::REGION).is_none() {
        return None;
    }
    let request_of_interface = argument.cast::<libc::ifreq>();
    let mut name = [0u8; NAME_OCTETS];
    // SAFETY: the request's argument is an ifreq, which begins with the name.
    unsafe { name.as_mut_ptr().copy_from(argument.cast(), NAME_OCTETS) };
    let name = std::str::from_utf8(name.split(|&octet| octet == 0).next()?).ok()?;
    let mtu = simulation().ok()?.mtu(name).ok()?;
    // SAFETY: as above; each request has its own member of the union.
    unsafe {
        let answer = &mut (*request_of_interface).ifr_ifru;
        match request {
            libc::SIOCGIFMTU => answer.ifru_mtu = mtu.try_into().unwrap_or(c_int::MAX),
            libc::SIOCGIFFLAGS => {
                let flags = libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_BROADCAST | libc::IFF_PROMISC;
                answer.ifru_flags = flags as i16;
            }
            libc::SIOCGIFHWADDR => {
                let mut address: libc::sockaddr = std::mem::zeroed();
                address.sa_family = ETHERNET;
                let octets = simulation().ok()?.mac(name);
                address.sa_data.iter_mut().zip(octets).for_each(|(cell, octet)| *cell = octet.cast_signed());
                answer.ifru_hwaddr = address;
            }
            libc::SIOCSIFFLAGS => {}
            _ => {
                set_errno(libc::EOPNOTSUPP);
                return Some(-1);
            }
        }
    }
    Some(0)
}
