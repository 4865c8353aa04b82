"""How commands fail, each way with an exit status of its own, so that scripts can tell them apart."""

import click

EXIT_STATUS = """\
0 done; 1 refused by a server, or failed; 2 wrong usage, or a file or setting that can't be read; 3 a server can't be
reached or isn't who it should be; 4 waited in vain"""
"""For the help page."""


def printable(text: str) -> str:
    """What a server says, without what would move a terminal's cursor or change its colours; lines stay lines."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)


class Refusal(click.ClickException):
    """A server's answer that is no: its code and its sentence. Exit status 1.

    value: what the server sent beside the sentence: reasons, or what would have been granted
    """

    def __init__(self, code: int, sentence: str, value: object = "") -> None:
        super().__init__(f"{printable(sentence) or 'refused'} (code {code})")
        self.code = code
        self.value = value
        self.advice = ""
        """A line on what to do next."""

    def format_message(self) -> str:
        """What is printed."""
        return f"{self.message}\n{self.advice}" if self.advice else self.message


class Unreadable(click.ClickException):
    """A file or a setting that can't be read, or is missing."""

    exit_code = 2


class Unreachable(click.ClickException):
    """Nobody answers, or not in time, or who answers isn't who it should be."""

    exit_code = 3


class WaitedInVain(click.ClickException):
    """What was waited for didn't come in time."""

    exit_code = 4
