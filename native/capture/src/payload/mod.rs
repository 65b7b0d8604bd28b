//! Payloads out of captured frames, and frames around payloads.
pub mod extract;
mod fragments;
mod ip;
mod link;
mod tcp;
pub mod udp_frames;
