"""The simulated backend keeps the rules of real ones."""

import pytest

from backends.conformance import Conformance, Quiet
from backends.simulated import SimulatedBackend


class TestSimulated(Conformance):
    image, sliver_type = "debian-12", "container"

    @pytest.fixture
    def backend(self):
        backend = SimulatedBackend()
        backend.start(Quiet())
        yield backend
        backend.stop()
