"""Which bus a program is on, by its settings."""

from pathlib import Path

from backends import enrolment
from backends.native.bus import Bus
from backends.native.bus.credentials import Credentials
from backends.native.bus.local import LocalBus
from backends.native.bus.nats import NatsBus


def connect(bus: str, folder: Path, *, inbox: str) -> Bus:
    """The bus that a setting names: in process when it is empty, else at URLs nats://HOST:PORT joined by commas.

    folder: credentials, as `Credentials` has them
    inbox:  `enrolment.controller_inbox` or `enrolment.node_inbox`

    Returns at once, connected or not yet. Raises ValueError: no credentials, or none that can be used.
    """
    if not bus:
        return LocalBus()
    urls = enrolment.bus_urls(bus)
    credentials = Credentials(folder)
    if missing := credentials.missing:
        raise ValueError(f"{folder}: {', '.join(missing)} missing; `sfa-am bus init` or `sfa-node join` makes them")
    try:
        return NatsBus(urls, credentials, inbox=inbox)
    except OSError as e:
        raise ValueError(f"{folder}: can't be used ({e})") from e
