//! `netmap_io._native`: converts, checks shapes and maps errors; the work is in the kernel crates.
use pyo3::prelude::*;

#[pymodule(name = "_native")]
mod native {}
