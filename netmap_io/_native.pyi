"""Kernels in Rust."""
