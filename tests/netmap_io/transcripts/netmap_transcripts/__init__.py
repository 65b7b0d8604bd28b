"""Transcripts of a netmap kernel side: scenarios as data, a player that runs them, and what is compared."""
