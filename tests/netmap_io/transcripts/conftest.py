"""Makes the package `netmap_transcripts` importable; record.py, which runs where nothing is installed, needs no more."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
