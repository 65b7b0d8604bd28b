//! Receiving chain kernels.  Sources: CCSDS 131.0-B-5, 132.0-B-3, 732.0-B-5, 133.0-B-2, 133.1-B-3.
