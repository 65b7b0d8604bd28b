"""For tests of users and ours: published vectors, hypothesis strategies, damaged links.

`load_vectors` needs nothing; `ccsds.testing.strategies` needs the extra `testing` (hypothesis).
"""

from __future__ import annotations

from ccsds.testing.vector_loader import load_vectors, vector_files

__all__ = ["load_vectors", "vector_files"]
