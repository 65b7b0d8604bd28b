//! Receiving chain kernels.  Sources: CCSDS 131.0-B-5, 132.0-B-3, 732.0-B-5, 232.0-B-4, 732.1-B-3, 133.0-B-2,
//! 133.1-B-3.
//!
//! [`chain::ReceivingChain`] takes octets, bits or frames in pieces of any size and gives batches of
//! columns; its results depend on the stream alone, never on how it was cut.

pub mod account;
pub mod batch;
pub mod chain;
pub mod channel;
pub mod counter;
mod delimiter;
pub mod extraction;
mod frame;
pub mod header;
pub mod map_account;
mod map_channel;
mod map_frame;
pub mod packet_stream;
pub mod parameters;
mod reassembly;
pub mod recycle;
mod row;
mod scan;
pub mod sending;
pub mod synchronizer;
