//! netmap, API 14: ports whose rings lie in memory shared with the kernel, or with what stands in for it.
//!
//! `device` is what a registration talks to, `registration` makes one, `words` is the arithmetic of a ring, `ring` and
//! `region` are its checked memory; `receive`, `transmit` and `forward` move frames.  Unsafe code is in `device` and `link`
//! (system calls) and in `region` (memory) only.  Nothing that the memory says is believed: our own positions are kept
//! outside of it, and each descriptor is copied once, checked, and used.
mod receive;
mod region;
mod registration;
mod ring;
mod transmit;

pub mod device;
pub mod forward;
mod layout;
pub mod link;
pub mod port;
pub mod words;

pub use layout::{Mode, flag};
pub use receive::{ReceiveAccount, Receiver};
pub use ring::Trouble;
pub use transmit::{TransmitAccount, Transmitter};
