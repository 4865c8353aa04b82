"""Projects and authorities: one thing with two names.

A GENI project urn:publicid:IDN+plc+project+demo is the authority plc:demo of the SFA, and the slices of the one are the
slices of the other: urn:publicid:IDN+plc:demo+slice+s1.
"""

from credentials import URN, BadName
from sfa_am.errors import BadArgs


def project_of(authority: URN) -> URN | None:
    """The project that an authority is; None for one that stands at the top."""
    above, colon, name = authority.authority.rpartition(":")
    return URN(above, "project", name) if colon else None


def authority_of(project: URN) -> URN:
    """The authority that a project is. Raises BadArgs when the name is no project's."""
    if project.type != "project":
        raise BadArgs(f"{project} is not the name of a project; one such as {_EXAMPLE} is expected")
    try:
        return URN(f"{project.authority}:{project.name}", "authority", "sa")
    except BadName as e:
        raise BadArgs(f"{project} is not the name of a project here: {e}") from e


def authority_over(name: URN) -> URN:
    """The authority that a slice or a member is named after."""
    return URN(name.authority, "authority", "sa")


_EXAMPLE = "urn:publicid:IDN+example+project+demo"
