"""Reading and writing RSpecs, beside lxml's bare parse of the same bytes."""

import tempfile
import xmlrpc.client
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from backends.protocol import Image, Offer, SliverType
from bench.row import Row, rates
from rspec import GENI3, read_request, write
from sfa_am.slices.advertisement import Advertiser
from sfa_am.slices.identity import Identity
from sfa_am.store import Store, offers

NODES, LINKS = 1000, 500
OFFERS = 20_000


def request() -> bytes:
    """A request for 1,000 nodes, each with a sliver type, an image and an interface, and 500 links."""
    return "".join(_request()).encode()


def _request() -> Iterator[str]:
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<rspec xmlns="{GENI3}" type="request">\n'
    for n in range(NODES):
        yield (
            f'<node client_id="n{n}" component_manager_id="urn:publicid:IDN+plc+authority+cm" exclusive="false">\n'
            '  <sliver_type name="container">\n    <disk_image name="debian-12"/>\n  </sliver_type>\n'
            f'  <interface client_id="n{n}:if0">\n'
            f'    <ip address="10.{n // 250}.{n % 250}.1" netmask="255.255.0.0" type="ipv4"/>\n'
            "  </interface>\n</node>\n"
        )
    for n in range(LINKS):
        yield (
            f'<link client_id="l{n}">\n  <interface_ref client_id="n{2 * n}:if0"/>\n'
            f'  <interface_ref client_id="n{2 * n + 1}:if0"/>\n  <link_type name="lan"/>\n</link>\n'
        )
    yield "</rspec>\n"


def _advertised() -> list[Row]:
    """An aggregate of 20,000 nodes: its advertisement, packed and made into an answer."""
    now = datetime.now(UTC)
    kind = SliverType(name="container", cpus=1, memory_mib=512, disk_mib=1024)
    image = Image(name="debian-12", os="Linux", version="12", description="Debian 12")
    capacity = {"slivers": 50, "cpus": 50_000, "memory_mib": 65_536, "disk_mib": 1_000_000}
    offered = [
        Offer(name=f"node{n}", capacity=capacity, sliver_types=(kind,), images=(image,), hardware_types=("pc",))
        for n in range(OFFERS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Store.in_folder(Path(folder))
        store.migrate()
        with store.transaction() as tx:
            offers.publish(tx, "bench", offered, now=now)
        advertiser = Advertiser(store, Identity("bench"))

        def answered() -> None:
            advertised = advertiser.advertised(available_only=False, now=now)
            xmlrpc.client.dumps(({"code": {"geni_code": 0}, "value": advertised.compressed},), methodresponse=True)

        (rate,) = rates(answered)
        store.close()
    return [
        Row(f"advertisement of {OFFERS:,} nodes: answered again", rate, "two milliseconds", 500, "per second", aim=1)
    ]


def measure() -> list[Row]:
    """The rows of this section."""
    octets = request()
    asked = read_request(octets)
    floor, reading, writing = rates(
        lambda: etree.fromstring(octets), lambda: read_request(octets), lambda: write(asked)
    )
    words, size = "bare lxml parse", f"{NODES:,} nodes, {LINKS} links"
    return [
        *_advertised(),
        Row(f"request of {size}: parsed, validated, modelled", reading, words, floor, "per second", aim=1 / 5),
        Row(f"manifest of {size}: written", writing, words, floor, "per second", aim=1 / 1.6),
    ]
