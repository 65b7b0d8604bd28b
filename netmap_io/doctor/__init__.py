"""Facts about the machine that decide how frames can move: read from the kernel, nothing changed, no program run."""
