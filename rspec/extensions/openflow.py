"""OpenFlow, as FOAM and OFELIA write it: recognised by name, so that an aggregate without it can say what it lacks."""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import local, source_of
from rspec.model import Extension
from rspec.namespaces import OPENFLOW, OPENFLOW_OFELIA


@dataclass(frozen=True, kw_only=True)
class OpenFlow(Extension):
    """At the top: an OpenFlow sliver asked for, or a datapath on offer. `name`: of its element."""

    name: str

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From any element of the OpenFlow namespaces."""
        return cls(source=source_of(element), name=f"<{local(element)}>")


READERS = {
    f"{{{namespace}}}{name}": OpenFlow.read
    for namespace in (OPENFLOW, OPENFLOW_OFELIA)
    for name in ("sliver", "datapath", "link")
}
