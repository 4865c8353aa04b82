"""The built-in cloud: node managers that make containers, networks and storage of their hosts, and their controller."""

from collections.abc import Mapping

from backends import enrolment
from backends.native.bus.connecting import connect
from backends.native.bus.local import LocalBus
from backends.native.controller import NativeBackend
from backends.native.node.agent import Agent
from backends.native.node.manager import NodeManager
from backends.native.settings import BackendSettings, read
from backends.protocol import Backend, Context


def create(settings: Mapping[str, object], context: Context) -> Backend:
    """The entry point. Raises ValueError with a sentence for each wrong setting."""
    wanted = read(settings, BackendSettings)
    prefix = enrolment.prefix_of(context.name)
    if wanted.bus:
        inbox = enrolment.controller_inbox(prefix)
        return NativeBackend(connect(wanted.bus, context.state / "bus", inbox=inbox), prefix)
    bus = LocalBus()
    return NativeBackend(bus, prefix, Agent(NodeManager(wanted, context.state), bus, prefix))
