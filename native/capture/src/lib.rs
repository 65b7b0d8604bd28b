//! Capture files (pcap, pcapng) and the payloads inside captured frames.
