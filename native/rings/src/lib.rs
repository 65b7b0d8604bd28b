//! Rings that are shared with the Linux kernel.
//!
//! `packet` is AF_PACKET, `xdp` is AF_XDP.  Only `memory` and `system` hold unsafe code: the first gives checked access
//! to mapped memory, the second makes system calls.  The ring arithmetic above them is safe code over a mapping, so that
//! its tests put a simulated kernel on the other side of an anonymous file and need no privileges.
pub mod error;
pub(crate) mod lengths;
pub mod memory;
pub mod packet;
pub mod slots;
pub mod system;
pub mod xdp;
