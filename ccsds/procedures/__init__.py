"""Procedures between units: packet extraction."""
