"""What two backends on one host may not share: a span of published ports and a network. Each takes a place of its own,
so that tests can run side by side, in other processes and other checkouts too."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from backends.native.network.bridge import holder_of

_PLACES = 12
_PORTS = 500
_DOORS = 50


@dataclass(frozen=True)
class Place:
    """A place that is held until this process ends, or until it is left."""

    number: int
    _claim: socket.socket

    @classmethod
    def take(cls) -> "Place":
        """The first that is free. Its holder listens under its name, which the kernel gives to one process only.

        Not one whose network is still there, which tests have left that were killed.
        """
        for number in range(_PLACES):
            claim = socket.socket(socket.AF_UNIX)
            place = cls(number, claim)
            try:
                claim.bind(f"\0sfa-am-test-place-{number}")
            except OSError:
                claim.close()
                continue
            if holder_of(IPv4Address(place.gateway)) is None:
                return place
            claim.close()
        raise AssertionError(f"all {_PLACES} places are taken: do other tests run on this host?")

    def leave(self) -> None:
        """Let others have it."""
        self._claim.close()

    @property
    def first_port(self) -> int:
        return 26400 + self.number * _PORTS

    @property
    def first_door(self) -> int:
        """Of other ports that slivers publish."""
        return 25800 + self.number * _DOORS

    @property
    def addresses(self) -> str:
        """How all addresses begin that backends here have for themselves and for slivers, and no others do."""
        return f"100.{80 + self.number}."

    @property
    def control_network(self) -> str:
        """With room for fewer slivers than there are ports."""
        return f"{self.addresses}0.0/23"

    @property
    def gateway(self) -> str:
        """The host's address there."""
        return f"{self.addresses}0.1"
