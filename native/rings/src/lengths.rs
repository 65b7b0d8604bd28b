//! How long a frame may be.
use netmap_io_capture::batch::Frames;

use crate::error::{Kind, RingError};

/// Octets of an Ethernet header: no frame is shorter.
pub(crate) const ETHERNET_HEADER_OCTETS: usize = 14;
/// Octets of a VLAN tag.
pub(crate) const VLAN_TAG_OCTETS: usize = 4;
/// The type that says that a VLAN tag follows.
pub(crate) const VLAN_TYPE: u16 = 0x8100;

/// Say which frame cannot be sent by its length, before any is.
pub(crate) fn check(frames: &Frames<'_>, interface: &str, longest: usize) -> Result<(), RingError> {
    let tag = VLAN_TYPE.to_be_bytes();
    for index in 0..frames.len() {
        let frame = frames.frame(index);
        let tagged = frame.get(12..14) == Some(&tag);
        let most = if tagged { longest + VLAN_TAG_OCTETS } else { longest };
        if frame.len() < ETHERNET_HEADER_OCTETS || frame.len() > most {
            let message = format!(
                "frame {index} has {} octets; {interface} takes {ETHERNET_HEADER_OCTETS} to {longest}, \
                 {VLAN_TAG_OCTETS} more with a VLAN tag",
                frame.len()
            );
            return Err(RingError::new(Kind::Frame, message));
        }
    }
    Ok(())
}
