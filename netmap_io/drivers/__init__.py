"""Drivers: every way for frames to arrive."""
