"""The parts of the sending chain; `ccsds.link.sender` puts them together."""
