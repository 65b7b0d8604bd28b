"""Packets: Space Packet, Encapsulation Packet."""
