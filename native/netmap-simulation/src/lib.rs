//! The kernel side of netmap, simulated: what answers when a program opens `/dev/netmap`.
//!
//! Everything lies in one file of shared memory (`shared`, `tables`), so that processes which map the same file share
//! one kernel.  Nothing runs by itself: all state moves inside somebody's `ioctl` or `poll`, and a ring's `tail` only
//! inside its owner's.  A registration lives as long as the open file it was made through, in whichever processes that
//! is open or mapped: an open-file-description lock on the shared file tells (`descriptor`).
//!
//! What users can write is hostile: each word is read once and checked, and every access to shared memory is bounded in
//! `shared`.  Unsafe code is in `shared`, `lock`, `wake` and `user` only, and in the ioctl's face, which takes the
//! caller's addresses as a kernel does.
//!
//! The numbers are those of the interface (`abi`), declared here on their own: a driver shares none of them with us, so
//! that a mistake on one side is not mirrored by the other.

mod abi;
mod control_request;
mod descriptor;
mod errno;
mod fault;
mod interface;
mod legacy;
mod lock;
mod memory;
mod monitor;
mod options;
mod outlet;
mod pipe;
mod poll;
mod port;
mod register;
mod ring;
mod shared;
mod simulation;
mod switch_control;
mod sync;
mod tables;
mod user;
mod vale;
mod wake;
mod wire;

pub use descriptor::{Descriptor, Mapping, identify};
pub use errno::Errno;
pub use fault::{CorruptWord, RingName};
pub use interface::{Interface, Side};
pub use outlet::Outlet;
pub use poll::Polled;
pub use simulation::{DescriptorId, Simulation};
