"""Settings: read, refused, written."""

import pytest

from sfa_am import config


def test_the_written_file_reads_back_to_the_same_settings(tmp_path):
    path = tmp_path / "sfa-am.toml"
    written = config.Config.model_validate(
        {
            "aggregate": {"authority": "example.org:lab"},
            "backend": [{"name": "rack1", "plugin": "native", "settings": {"a": [1, 2], "b": {"c": "d e"}}}],
        }
    )
    path.write_text(config.commented_toml(written))
    assert config.load(path).model_dump() == written.model_dump()


def test_every_key_is_explained_in_the_written_file():
    text = config.commented_toml(config.Config())
    for section in config.SECTIONS:
        for key, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{key} has no description"
            if section not in (config.Quota, config.Policy):  # of these there are none yet
                assert f"\n{key} = " in text
    assert "# [[quota]]" in text
    assert "# [[policy]]" in text


def test_rules_are_written_and_read_again(tmp_path):
    values = {
        "quota": [{"name": "students", "per": "user", "nodes": 4, "sliver_types": ["container"]}],
        "policy": [{"name": "hours", "plugin": "office-hours", "settings": {"from": 8}}],
    }
    before = config.from_values(values)
    path = tmp_path / "sfa-am.toml"
    path.write_text(config.commented_toml(before))
    assert config.load(path).model_dump() == before.model_dump()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nam_prt = 1\n", "server.am_prt: no such setting; did you mean am_port?"),
        ("[sever]\n", "sever: no such setting; did you mean server?"),
        ("[server]\nam_port = 70000\n", "server.am_port"),
        ("[aggregate]\nauthority = 'a b'\n", "letters, digits, dots and hyphens"),
        ("[[backend]]\nname='a'\nplugin='x'\n[[backend]]\nname='a'\nplugin='x'\n", "two backends are named a"),
        ("not toml", "sfa-am.toml"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence_naming_the_key(tmp_path, text, says):
    path = tmp_path / "sfa-am.toml"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match="(?s)" + says.replace("?", r"\?")):
        config.load(path)


def test_a_missing_file_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(config.ConfigError, match="init"):
        config.load(tmp_path / "sfa-am.toml")


def test_the_environment_overrides_the_file(tmp_path, monkeypatch):
    path = tmp_path / "sfa-am.toml"
    path.write_text("[server]\nam_port = 1000\nthreads = 3\n")
    monkeypatch.setenv("SFA_AM_SERVER__AM_PORT", "8443")
    assert (config.load(path).server.am_port, config.load(path).server.threads) == (8443, 3)


def test_settings_can_not_be_changed_after_reading():
    with pytest.raises(ValueError, match="frozen"):
        config.Config().server.am_port = 1
