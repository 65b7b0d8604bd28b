"""The `netmap-io` command."""
