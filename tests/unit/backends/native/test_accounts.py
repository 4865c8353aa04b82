"""The accounts of a container's first start, beside those of whatever image it begins from."""

import pytest

from backends.native.node.accounts import equip
from backends.native.node.disk import Layer
from backends.protocol import Account, Machine

pytestmark = pytest.mark.needs("root")

BASE = 1_000_000
PASSWD = "root:x:0:0::/root:/bin/sh\nubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/sh\n"


@pytest.fixture
def equipped(tmp_path):
    def equip_(*names, passwd=PASSWD, group="root:x:0:\nsudo:x:27:ubuntu\nubuntu:x:1000:\n", bash=True):
        image = tmp_path / "image"
        (image / "etc").mkdir(parents=True)
        (image / "bin").mkdir()
        if bash:
            (image / "bin/bash").touch()
        for name, content in (("passwd", passwd), ("shadow", "root:*:1::::::\nubuntu:!:1::::::\n"), ("group", group)):
            (image / "etc" / name).write_text(content)
        layer = Layer(tmp_path / "fresh", tmp_path / "upper", BASE)
        accounts = tuple(Account(name=name, keys=("ssh-ed25519 AAAA",)) for name in names)
        machine = Machine(hostname="n", sliver_type="c", image="i", cpus=1, memory_mib=1, disk_mib=1, accounts=accounts)
        equip(layer, image, machine, (), ())
        layer.keep()
        return tmp_path / "upper"

    return equip_


def lines(upper, name):
    return (upper / "etc" / name).read_text().splitlines()


def test_accounts_get_numbers_that_the_image_has_not_given(equipped):
    upper = equipped("alice", "bob")
    assert lines(upper, "passwd")[2:] == [
        "alice:x:1001:1001::/home/alice:/bin/bash",
        "bob:x:1002:1002::/home/bob:/bin/bash",
    ]
    assert "sudo:x:27:ubuntu,alice,bob" in lines(upper, "group")
    assert (upper / "home/alice/.ssh/authorized_keys").stat().st_uid == BASE + 1001


def test_an_account_that_the_image_has_becomes_the_researchers_and_keeps_its_number(equipped):
    upper = equipped("ubuntu")
    assert [line for line in lines(upper, "passwd") if "ubuntu" in line] == [
        "ubuntu:x:1000:1000::/home/ubuntu:/bin/bash"
    ]
    assert [line for line in lines(upper, "shadow") if "ubuntu" in line] == ["ubuntu:*:19000:0:99999:7:::"]
    assert [line for line in lines(upper, "group") if line.startswith("ubuntu")] == ["ubuntu:x:1000:"]


def test_an_account_named_as_one_of_the_systems_gets_a_number_of_its_own(equipped):
    upper = equipped("games", passwd="root:x:0:0::/root:/bin/sh\ngames:x:5:60::/usr/games:/bin/sh\n")
    assert lines(upper, "passwd")[1:] == ["games:x:1000:1000::/home/games:/bin/bash"]


def test_files_without_a_last_line_feed_and_systems_without_bash_do(equipped):
    upper = equipped("alice", passwd="root:x:0:0::/root:/bin/sh", group="sudo:x:27:", bash=False)
    assert lines(upper, "passwd") == ["root:x:0:0::/root:/bin/sh", "alice:x:1000:1000::/home/alice:/bin/sh"]
    assert lines(upper, "group") == ["sudo:x:27:alice", "alice:x:1000:"]
