//! Capture files (pcap, pcapng) and the payloads inside captured frames.
//!
//! The walkers (`pcap`, `pcapng`) see pieces of a file and no file; `reader` brings the pieces; `payload`
//! works on batches and knows no capture format.
pub mod batch;
pub mod catalogue;
mod clock;
pub mod error;
mod gather;
mod gzip;
mod octets;
pub mod payload;
mod pcap;
mod pcapng;
pub mod reader;
pub mod writer;
