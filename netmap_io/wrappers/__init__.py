"""Ports around ports, of the same contract: faults, rates, recording, tracing, filtering, sharing out."""
