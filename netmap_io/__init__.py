"""A link layer: one port contract, pluggable drivers.  Knows no CCSDS."""
