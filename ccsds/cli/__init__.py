"""The `ccsds` command."""
