"""Tables for people and for programs."""

from sfi_tool import output


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
