"""Small requests, and what to look at after a call."""

from collections import Counter

from sfa_am.store import schema

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIgcHVibGljIGtleSBvZiBhIHRlc3Qh someone"
REQUEST = """<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">
  <node client_id="left"><sliver_type name="container"/><interface client_id="left:0"/></node>
  <node client_id="right"><sliver_type name="container"/><interface client_id="right:0"/></node>
  <link client_id="cable"><interface_ref client_id="left:0"/><interface_ref client_id="right:0"/></link>
</rspec>"""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRoZSBwdWJsaWMga2V5IG9mIGEgdGVzdCBvbmx5ISEh alice"
GENI = 'xmlns="http://www.geni.net/resources/rspec/3" type="request"'


def request(*elements):
    return f"<rspec {GENI}>{''.join(elements)}</rspec>"


def everything(am):
    """All rows that a refused call must not have changed."""
    tables = (schema.slice_, schema.sliver, schema.claim, schema.capacity, schema.operation, schema.event)
    return [am.rows(table) for table in tables]


def used(am, resource="slivers"):
    return sum(row["used"] for row in am.rows(schema.capacity) if row["resource"] == resource)


def claims_add_up(am):
    held = Counter()
    for row in am.rows(schema.claim):
        held[row["offer"], row["resource"]] += row["amount"]
    return all(held[row["offer"], row["resource"]] == row["used"] for row in am.rows(schema.capacity))
