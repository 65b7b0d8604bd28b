//! Synchronisation and channel coding kernels.  Sources: CCSDS 131.0-B-5 and B-6, 132.0-B-3, 231.0-B-4, 732.0-B-5.

pub mod bch;
mod bit_queue;
pub mod cltu;
pub mod cltu_decoder;
pub mod crc;
pub mod header_error_control;
pub mod ldpc;
pub mod randomizer;
pub mod reed_solomon;
pub mod start_sequence;
