"""From one version of RSpecs to another, telling what was lost on the way."""

from dataclasses import dataclass

from rspec import sfa1
from rspec.document import parse, sort_of
from rspec.errors import Invalid
from rspec.namespaces import GENI3, SFA1
from rspec.read import read_parsed
from rspec.schema import violations
from rspec.write import write


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The text of a document, and what of it the new version, or the model between, can't say; in words."""

    text: str
    lost: tuple[str, ...]


def convert(document: str | bytes, *, to: str = GENI3) -> Converted:
    """The document in another version of `namespaces`; of the same type.

    Raises Malformed, WrongVersion, and Invalid for a request that its own schema refuses.
    """
    root = parse(document)
    sort = sort_of(root)
    if sort.type == "request" and (problems := violations(root, sort)):
        raise Invalid(problems)
    if sort.version == SFA1:
        read = sfa1.read(root, sort.type)
        value, lost = read.document, read.lost
    else:
        value, lost = read_parsed(root, sort), ()
    if to == SFA1:
        written = sfa1.write(value)
        return Converted(text=written.text, lost=(*lost, *written.lost))
    return Converted(text=write(value, version=to), lost=lost)
