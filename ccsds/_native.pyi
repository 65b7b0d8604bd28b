"""Kernels in Rust.  Octets in: `bytes` is read in place, other buffers are copied first."""

from typing import final

from typing_extensions import Buffer

@final
class Octets(Buffer):
    """Octets owned by Rust; read them through memoryview or numpy.frombuffer."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
