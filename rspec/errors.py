"""What this library raises: one tree. Every sentence says where in the document and what would work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document.

    line:    in the document, from 1; 0 when no line can be named
    message: what is wrong, without the line
    hint:    what would work; empty where nothing can be said
    """

    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.message}{'; ' if self.hint else ''}{self.hint}"


class RSpecError(Exception):
    """A document that can't be used. `problems`: all that was found, in the order of the document."""

    def __init__(self, sentence: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(sentence)
        self.problems = problems or (Problem(0, sentence),)


class Malformed(RSpecError):
    """Not XML that is read here: not well-formed, too large, with a document type declaration."""


class WrongVersion(RSpecError):
    """XML, but not an RSpec of a version and type that is expected."""


class Invalid(RSpecError):
    """An RSpec of the right version whose content makes no sense."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}", problems)


class Odd(ValueError):
    """A value that can't be read, inside this library; readers make a Problem of it or pass it over."""
