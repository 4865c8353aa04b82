"""The built-in cloud: node managers that make containers, networks and storage of their hosts, and their controller."""

from collections.abc import Mapping

from backends.native.bus.local import LocalBus
from backends.native.controller import NativeBackend
from backends.native.node.agent import Agent
from backends.native.node.manager import NodeManager
from backends.native.settings import read
from backends.protocol import Backend, Context


def create(settings: Mapping[str, object], context: Context) -> Backend:
    """The entry point. Raises ValueError with a sentence for each wrong setting."""
    bus = LocalBus()
    own = Agent(NodeManager(read(settings), context.state), bus, context.name)
    return NativeBackend(bus, context.name, own)
