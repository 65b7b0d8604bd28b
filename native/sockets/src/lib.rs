//! Frames through sockets, tap devices and shared memory, many in one call.  Nothing here blocks: the caller waits.
//!
//! Descriptors are the caller's: opened, set up and closed there.  A stale one is an error of the system's, no more.
pub mod checksum;
pub mod datagrams;
pub mod device;
pub mod records;
pub mod shared;
pub mod stream;
mod system;

/// What the operating system answered: an `errno`.
pub type SystemError = i32;

pub use system::would_block;
