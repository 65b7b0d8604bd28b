//! Receiving chain kernels.  Sources: CCSDS 131.0-B-5, 132.0-B-3, 732.0-B-5, 133.0-B-2, 133.1-B-3.
//!
//! [`chain::ReceivingChain`] takes octets, bits or frames in pieces of any size and gives batches of
//! columns; its results depend on the stream alone, never on how it was cut.

pub mod account;
pub mod batch;
pub mod chain;
pub mod counter;
pub mod extraction;
mod frame;
pub mod header;
pub mod packet_stream;
pub mod parameters;
pub mod recycle;
mod scan;
pub mod sending;
pub mod synchronizer;
