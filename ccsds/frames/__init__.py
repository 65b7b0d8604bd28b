"""Transfer frames and what they carry for the link itself."""
