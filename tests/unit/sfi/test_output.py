"""Tables for people and for programs."""

import json
from xmlrpc.client import Binary, DateTime

from sfi_tool import output
from sfi_tool.errors import Refusal


def test_away_from_a_terminal_columns_are_made_of_tabs(capsys):
    output.table(("a", "column"), [("long enough name", "x\ny"), ("", "z")])
    printed = capsys.readouterr().out
    assert printed == "a\t\t\tcolumn\nlong enough name\tx, y\n-\t\t\tz\n"
    assert [
        line.expandtabs().index(word) for line, word in zip(printed.splitlines(), ("col", "x", "z"), strict=True)
    ] == [
        24,
        24,
        24,
    ]


def test_hints_are_for_people(capsys):
    output.hint("sfi list")
    assert capsys.readouterr().out == ""


def test_what_servers_say_moves_no_cursor(capsys):
    output.table(("name",), [("a\x1b[2Jb\x07",)])
    assert "\x1b" not in capsys.readouterr().out
    assert "\x1b" not in Refusal(1, "no \x1b]0;title\x07").format_message()


def test_times_and_bytes_of_registries_are_text_in_json(capsys):
    output.print_json({"at": DateTime("20261121T11:25:31"), "bytes": Binary(b"x"), "odd": DateTime("soon")})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-11-21T11:25:31Z", "bytes": "x", "odd": "soon"}
