"""CreateImage, ListImages, DeleteImage: who may, what is refused, what becomes of a wish."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation
from unit.am.small import everything, request

from backends.protocol import Machine
from backends.simulated import SimulatedBackend
from rspec import read_manifest
from sfa_am.config import Limits
from sfa_am.errors import AlreadyExists, BadArgs, NotFeasible, NotFound, Refused, Unavailable, Unsupported
from sfa_am.orchestration.imaging import see_to_images
from sfa_am.store import offers, schema, trust
from sfa_am.store.offers import Wanted
from sfa_am.store.trust import RootRow

WEB = "urn:publicid:IDN+plc+image+alice//web"


def turn(am, **backends):
    see_to_images(am.store, {"sim": am.backend, **backends}, 1024, am.now)


def sliver(am, name="left") -> str:
    return next(str(state.urn) for state in am.status() if state.client_id == name)


def create(am, name="web", node="left", *, shared=False, person=None):
    urn, _ = am.service.create_image(am.who(person), am.slice_urn, name, sliver(am, node), shared=shared, now=am.now)
    return str(urn)


def listed(am, person=None, of=""):
    return [(str(urn), one.state.value) for urn, one in am.service.list_images(am.who(person), of, now=am.now)]


def node(image=WEB, more=""):
    kind = f'<sliver_type name="container"><disk_image name="{image}"/></sliver_type>'
    return request(f'<node client_id="new" {more}>{kind}</node>')


@pytest.fixture
def made(am):
    """An aggregate with two nodes and a link that are made."""
    am.allocate()
    am.provision()
    am.work()
    return am


def test_an_image_is_made_listed_begun_from_and_deleted(made):
    am = made
    assert create(am) == WEB
    assert listed(am) == [(WEB, "making")]
    with pytest.raises(Unavailable, match="still being made"):
        am.allocate(node())
    turn(am)
    assert listed(am) == [(WEB, "ready")]
    described = am.allocate(node())
    machine = next(row["shape"] for row in am.rows(schema.sliver) if row["client_id"] == "new")
    assert "alice//web" in str(machine)
    (new,) = [one for one in read_manifest(described.manifest).nodes if one.client_id == "new"]
    assert new.disk_image == WEB
    am.provision()
    am.work()
    assert set(am.states().values()) == {"geni_ready"}
    images = {thing.spec.shape.image for thing in am.backend.things.values() if isinstance(thing.spec.shape, Machine)}
    assert images == {"debian-12", "alice//web"}
    am.service.delete_image(am.who(), WEB, now=am.now)
    assert listed(am) == []
    with pytest.raises(AlreadyExists):
        create(am)
    turn(am)
    assert am.rows(schema.own_image) == []
    assert am.backend.images == {}
    create(am)


def test_others_neither_see_nor_use_nor_delete_it_until_it_is_shared(made):
    am, bob = made, made.federation.bob
    create(am)
    create(am, "all", shared=True)
    turn(am)
    alice = str(am.federation.alice.urn)
    assert listed(am, bob) == []
    assert listed(am, bob, alice) == [("urn:publicid:IDN+plc+image+alice//all", "ready")]
    with pytest.raises(NotFound):
        am.service.delete_image(am.who(bob), WEB, now=am.now)
    with pytest.raises(Refused, match="only they can change or delete it"):
        am.service.delete_image(am.who(bob), WEB.replace("web", "all"), now=am.now)
    for image, refused in ((WEB, True), ("alice//web", True), ("alice//all", False)):
        asked = am.service.allocate, am.who(bob), am.slice_urn, node(image)
        call, *arguments = asked
        if refused:
            with pytest.raises(BadArgs, match="that you may use"):
                call(*arguments, end_at=None, dry_run=True, now=am.now)
        else:
            assert call(*arguments, end_at=None, dry_run=True, now=am.now).slivers


def test_users_of_the_same_name_at_two_authorities_have_images_of_the_same_name(made):
    am, elsewhere = made, Federation("elsewhere")
    root = RootRow(
        fingerprint=elsewhere.root.fingerprint,
        gid=elsewhere.root.pem,
        names=("elsewhere",),
        legacy_sha1=False,
        added_at=NOW,
        added_by="test",
    )
    with am.store.transaction() as tx:
        trust.put(tx, root)
    am.now += timedelta(seconds=1)  # the gate looks for new roots that often
    create(am)
    theirs = create(am, person=elsewhere.alice)
    assert theirs == WEB.replace("alice", "elsewhere:alice")
    turn(am)
    assert listed(am) == [(WEB, "ready")]
    assert listed(am, elsewhere.alice) == [(theirs, "ready")]
    for image, person in ((theirs, None), (WEB, elsewhere.alice)):
        with pytest.raises(BadArgs, match="that you may use"):
            am.service.allocate(am.who(person), am.slice_urn, node(image), end_at=None, dry_run=True, now=am.now)
    am.service.allocate(am.who(elsewhere.alice), am.slice_urn, node(theirs), end_at=None, dry_run=True, now=am.now)


def test_an_image_is_shared_later_and_taken_back(made):
    am, alice, bob = made, made.federation.alice, made.federation.bob
    create(am)
    turn(am)
    sent = [am.federation.credential(alice)]
    for shared, seen in ((True, [(WEB, "ready")]), (False, [])):
        assert am.v3(alice, "ShareImage", WEB, sent, {"global": shared})["value"] is True
        assert listed(am, bob, str(alice.urn)) == seen
    theirs = [am.federation.credential(bob)]
    assert am.v3(bob, "ShareImage", WEB, theirs, {"global": True})["code"]["geni_code"] == 12


def test_names_links_and_what_is_not_made_are_refused(am):
    am.allocate()
    before = everything(am)
    for name in ("", "a b", "../x", "a/b", "x" * 33, ".x", "a+b"):
        with pytest.raises(BadArgs):
            create(am, name)
    with pytest.raises(Unsupported, match="is a link"):
        create(am, node="cable")
    with pytest.raises(Unsupported, match="Provision it"):
        create(am)
    with pytest.raises(NotFound):
        am.service.create_image(
            am.who(), am.slice_urn, "web", "urn:publicid:IDN+plc+sliver+none", shared=False, now=am.now
        )
    assert everything(am) == before
    assert am.rows(schema.own_image) == []


def test_a_user_holds_no_more_images_than_the_settings_say(make_aggregate):
    am = make_aggregate(limits=Limits(images_per_user=1))
    am.allocate()
    am.provision()
    am.work()
    create(am)
    with pytest.raises(Refused, match="you hold 1 images here, and 1 are allowed"):
        create(am, "second")


def test_an_image_that_could_not_be_made_says_why(made):
    am = made
    create(am)
    am.delete()
    am.work()
    turn(am)
    assert listed(am) == [(WEB, "failed")]
    with pytest.raises(NotFeasible, match="the machine is not there any more"):
        am.allocate(node())


def test_an_image_waits_for_a_backend_that_is_away(made):
    am = made
    create(am)
    am.backend.is_away = True
    turn(am)
    assert listed(am) == [(WEB, "making")]
    am.backend.is_away = False
    turn(am)
    assert listed(am) == [(WEB, "ready")]


def test_an_image_whose_component_was_removed_is_forgotten_when_it_is_deleted(made):
    am = made
    create(am)
    create(am, "second")
    (offer,) = {row["offer"] for row in am.rows(schema.own_image)}
    with am.store.transaction() as tx:
        offers.wish(tx, "sim", offer, Wanted.REMOVED)
    am.backend.is_away = True
    am.service.delete_image(am.who(), WEB, now=am.now)
    turn(am)
    assert listed(am) == [(WEB.replace("web", "second"), "failed")]
    assert len(am.rows(schema.own_image)) == 1


def test_a_node_is_placed_where_its_image_is_or_where_it_asks_to_be(make_aggregate):
    am = make_aggregate(SimulatedBackend(offers=3))
    am.allocate()
    am.provision()
    am.work()
    create(am)
    turn(am)
    (held,) = {row["offer"] for row in am.rows(schema.own_image)}

    def at(client_id):
        (row,) = (row for row in am.rows(schema.sliver) if row["client_id"] == client_id)
        return row["offer"]

    am.allocate(node())
    assert at("new") == held
    other = next(name for name in ("node1", "node2", "node3") if name != held)
    am.allocate(
        node(more=f'component_id="urn:publicid:IDN+plc+node+{other}"').replace('client_id="new"', 'client_id="x"')
    )
    assert at("x") == other
    with am.store.transaction() as tx:
        offers.wish(tx, "sim", held, Wanted.MAINTENANCE)
    am.allocate(node().replace('client_id="new"', 'client_id="y"'))
    assert at("y") != held
    with pytest.raises(BadArgs, match="that you may use"):
        am.allocate(node("bob//web").replace('client_id="new"', 'client_id="z"'))


def test_both_versions_have_the_calls_as_omni_sends_them(made):
    am, alice = made, made.federation.alice
    text = am.federation.credential(alice)
    struct = {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": text}
    sent = (str(am.slice_urn), "web", sliver(am), [struct], {"global": True})
    assert am.v3(alice, "CreateImage", *sent)["value"] == WEB
    turn(am)
    for call, credentials in ((am.v3, [struct]), (am.v2, [text]), (am.either, [struct])):
        (one,) = call(alice, "ListImages", str(alice.urn), credentials, {})["value"]
        assert (one["urn"], one["state"], one["global"], one["size"]) == (WEB, "ready", True, "1")
    assert am.v2(alice, "DeleteImage", WEB, [text], {})["value"] is True
    assert am.v3(alice, "DeleteImage", WEB, [struct], {})["code"]["geni_code"] == 12
