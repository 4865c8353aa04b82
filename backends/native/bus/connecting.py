"""The way onto the bus between hosts, by what a program was told and given."""

from pathlib import Path

from backends import enrolment
from backends.native.bus import Bus
from backends.native.bus.credentials import Credentials
from backends.native.bus.nats import NatsBus


def connect(bus: str, folder: Path, *, inbox: str) -> Bus:
    """The bus at URLs nats://HOST:PORT joined by commas.

    folder: credentials, as `Credentials` has them
    inbox:  `enrolment.controller_inbox` or `enrolment.node_inbox`

    Returns at once, connected or not yet. Raises ValueError: no credentials, or none that can be used.
    """
    urls = enrolment.bus_urls(bus)
    credentials = Credentials(folder)
    if missing := credentials.missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; `sfa-am bus init` or `sfa-node join` makes them")
    try:
        return NatsBus(urls, credentials, inbox=inbox)
    except OSError as e:
        raise ValueError(f"{folder}: can't be used ({e})") from e
