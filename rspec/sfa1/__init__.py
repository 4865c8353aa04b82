"""SFA RSpec version 1, which PlanetLab's tools speak: nodes with slivers on them, links between sites, leases.

It has no namespace and says most things with elements of any name. What has no place on the other side is not dropped
in silence: reading and writing tell what was lost, in words.
"""

from rspec.sfa1.read import Read, read
from rspec.sfa1.write import Written, write

__all__ = ["Read", "Written", "read", "write"]
