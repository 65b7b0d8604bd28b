"""Synchronisation and channel coding."""
