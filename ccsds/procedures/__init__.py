"""Procedures between units: packet extraction; COP-1 with its two ends, FOP-1 and FARM-1."""
