"""Managed parameters, mission profiles and the receiving chain."""
