"""The built-in node manager: containers, networks and storage of this host."""

from collections.abc import Mapping

from backends.native.controller import NativeBackend
from backends.native.settings import read
from backends.protocol import Backend, Context


def create(settings: Mapping[str, object], context: Context) -> Backend:
    """The entry point. Raises ValueError with a sentence for each wrong setting."""
    return NativeBackend(read(settings), context)
