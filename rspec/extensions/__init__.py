"""The extensions that are understood, by the name of their element.

Each is a subclass of `model.Extension` with a class method `read`, and most can be made anew with `of`. What is not in
this table is kept all the same, as a bare `Extension`.
"""

from collections.abc import Callable, Mapping

from lxml import etree

from rspec.extensions import emulab, geni, jfed, lan, nitos, openflow, opstate, planetlab, ports, security, stitching
from rspec.extensions.reading import source_of
from rspec.model import Extension

_READERS: Mapping[str, Callable[[etree._Element], Extension]] = {
    **emulab.READERS,
    **geni.READERS,
    **jfed.READERS,
    **lan.READERS,
    **nitos.READERS,
    **openflow.READERS,
    **opstate.READERS,
    **planetlab.READERS,
    **ports.READERS,
    **security.READERS,
    **stitching.READERS,
}


def read_extension(element: etree._Element) -> Extension:
    """What an element of another namespace means, if it is known here; it is kept in any case."""
    reader = _READERS.get(element.tag)
    return reader(element) if reader is not None else Extension(source=source_of(element))
