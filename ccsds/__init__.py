"""CCSDS space link protocols.  Names load when they are first used, so that `import ccsds` costs nothing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "CcsdsError": "ccsds.errors",
    "ConfigurationError": "ccsds.errors",
    "DecodeError": "ccsds.errors",
    "EncodeError": "ccsds.errors",
    "FieldError": "ccsds.errors",
    "IntegrityError": "ccsds.errors",
    "ProtocolError": "ccsds.errors",
    "TruncatedError": "ccsds.errors",
    "Field": "ccsds.layout",
    "Layout": "ccsds.layout",
}

__all__ = sorted([*_HOME, "__version__"])

if TYPE_CHECKING:
    from ccsds.errors import (
        CcsdsError,
        ConfigurationError,
        DecodeError,
        EncodeError,
        FieldError,
        IntegrityError,
        ProtocolError,
        TruncatedError,
    )
    from ccsds.layout import Field, Layout


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'ccsds' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
