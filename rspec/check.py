"""Judge an RSpec as a researcher would ask: is it good, and if not, what is wrong, where, and what would work?"""

from dataclasses import dataclass

from rspec import sense
from rspec.document import parse, sort_of
from rspec.errors import Problem, RSpecError
from rspec.model import Request
from rspec.read import read_parsed
from rspec.schema import violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `check` found.

    type:     "request", "manifest" or "advertisement"; None when it isn't clear
    version:  such as "GENI 3"; None likewise
    problems: in the order of the document; empty when the document is good
    """

    type: str | None
    version: str | None
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


def check(document: str | bytes) -> Report:
    """Judge a document of any version and type, strictly. Raises nothing: what can't be read is a problem too."""
    try:
        root = parse(document)
        sort = sort_of(root)
    except RSpecError as e:
        return Report(type=None, version=None, problems=e.problems)
    problems = violations(root, sort)
    if not problems and sort.type == "request":
        request = read_parsed(root, sort)
        problems = sense.problems(request) if isinstance(request, Request) else ()
    return Report(type=sort.type, version=sort.name, problems=problems)
