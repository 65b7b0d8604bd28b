//! AF_XDP.  Source: the kernel's include/uapi/linux/if_xdp.h and bpf.h, Documentation/networking/af_xdp.rst.
//!
//! `ring` is the arithmetic of one ring, `chunks` says who owns which piece of the shared memory, `receive` and
//! `transmit` join them, `socket` sets a queue up, `program` redirects frames to it, `port` is several queues.
pub mod chunks;
pub mod port;
pub mod program;
pub mod receive;
pub mod ring;
pub mod socket;
pub mod transmit;
