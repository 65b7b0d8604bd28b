"""Makes the package `netmap_transcripts` importable; record.py finds it beside itself."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
