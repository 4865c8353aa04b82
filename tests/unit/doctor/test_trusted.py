"""What `sfa-am doctor` says of trusted roots."""

from datetime import timedelta

from conftest import NOW, Federation

from credentials.keys import new_ec_key
from sfa_am.doctor import trusted
from sfa_am.doctor.finding import Verdict
from sfa_am.store import Store, trust
from sfa_am.store.trust import RootRow


def installation(folder, *, legacy_sha1):
    gid = Federation("plc", keys=new_ec_key).root
    store = Store.in_folder(folder)
    store.migrate()
    row = RootRow(
        fingerprint=gid.fingerprint,
        gid=gid.leaf_pem,
        names=("plc", "peer"),
        legacy_sha1=legacy_sha1,
        added_at=NOW,
        added_by="operator",
    )
    with store.transaction() as tx:
        trust.put(tx, row)
    store.close()
    return gid


def test_nothing_is_said_where_nothing_was_founded(tmp_path):
    assert trusted.look(tmp_path, now=NOW) == []


def test_roots_that_may_use_sha1_are_named(tmp_path):
    gid = installation(tmp_path, legacy_sha1=True)
    (found,) = trusted.look(tmp_path, now=NOW)
    assert (found.subject, found.verdict) == ("trust in plc, peer", Verdict.LIMITED)
    assert gid.fingerprint[:16] in found.says
    assert "--legacy-sha1" in found.remedy


def test_roots_that_end_soon_are_named(tmp_path):
    gid = installation(tmp_path, legacy_sha1=False)
    assert [found.verdict for found in trusted.look(tmp_path, now=NOW)] == [Verdict.OK]
    (late,) = trusted.look(tmp_path, now=gid.not_after - timedelta(days=29))
    assert f"ends {gid.not_after:%Y-%m-%d}" in late.says


def test_a_store_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "store.sqlite").write_bytes(b"nonsense" * 1000)
    (found,) = trusted.look(tmp_path, now=NOW)
    assert found.verdict is Verdict.UNKNOWN
