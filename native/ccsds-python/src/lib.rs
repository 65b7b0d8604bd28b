//! `ccsds._native`: converts, checks shapes and maps errors; the work is in the kernel crates.
mod buffer;
mod chain;
mod coding;
mod ldpc;
mod packets;
mod sending;
mod telecommand;

use pyo3::prelude::*;

#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use crate::buffer::Octets;
    #[pymodule_export]
    use crate::chain::{PacketStream, ReceivingChain, batch_columns, concatenate, frame_names, gather, header_tables};
    #[pymodule_export]
    use crate::coding::{
        ReedSolomon, crc32, frame_error_control, header_error_control_compute, header_error_control_correct, randomize,
        randomizer_octets, reed_solomon_variants,
    };
    #[pymodule_export]
    use crate::ldpc::{Ldpc, ldpc_variants};
    #[pymodule_export]
    use crate::packets::{Column, cut_columns, packet_columns, scan_packets, space_packet_header_fields};
    #[pymodule_export]
    use crate::sending::{ChannelCoder, check_packets, packet_frames};
    #[pymodule_export]
    use crate::telecommand::{CltuDecoder, bch_decode, bch_encode, cltu_encode, sequence_cosines, start_sequence_find};
}
