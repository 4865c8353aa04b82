"""What this library raises: one tree. Every sentence says where in the document and what would work."""


class RSpecError(Exception):
    """A document that can't be used."""


class Malformed(RSpecError):
    """Not XML that is read here: not well-formed, too large, with a document type declaration."""


class WrongVersion(RSpecError):
    """XML, but not a GENI version 3 RSpec of the type that is expected."""


class Invalid(RSpecError):
    """An RSpec of the right version whose content makes no sense."""
