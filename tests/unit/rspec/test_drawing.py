"""Drawings of topologies, as text and as SVG."""

from lxml import etree

from rspec import read
from rspec.drawing import as_svg, as_text
from sfi_tool.rspec_commands import EXAMPLE

HEAD = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="manifest"'


def star(nodes, *, extra=""):
    """Nodes on one LAN, and the first two on a link of their own."""
    machines = "".join(
        f'<node client_id="n{n}"{extra.format(n=n)}><sliver_type name="vm"/><interface client_id="n{n}:0"/>'
        f'<interface client_id="n{n}:1"/></node>'
        for n in range(nodes)
    )
    refs = "".join(f'<interface_ref client_id="n{n}:0"/>' for n in range(nodes))
    pair = '<interface_ref client_id="n0:1"/><interface_ref client_id="n1:1"/>'
    return read(
        f'{HEAD}>{machines}<link client_id="lan">{refs}<link_type name="lan"/></link>'
        f'<link client_id="pair">{pair}<property source_id="n0:1" dest_id="n1:1" capacity="2500000"/></link></rspec>'
    )


def test_the_example_as_text():
    assert as_text(read(EXAMPLE)) == (
        "        1\n"
        "left  ──●   container\n"
        "        │\n"
        "right ──●   container\n"
        "\n"
        "  1  cable  left 10.0.1.1, right 10.0.1.2\n"
    )


def test_wires_cross_where_they_must_and_dots_are_where_links_end():
    assert as_text(star(3)).splitlines()[:6] == [
        "     1  2",
        "n0 ──●──●   vm",
        "     │  │",
        "n1 ──●──●   vm",
        "     │",
        "n2 ──●      vm",
    ]
    assert "  2  pair  2.5 Gbit/s" in as_text(star(3))


def test_many_links_are_drawn_in_parts_that_fit():
    links = "".join(f'<link client_id="l{n}"><interface_ref client_id="a:{n}"/></link>' for n in range(60))
    interfaces = "".join(f'<interface client_id="a:{n}"/>' for n in range(60))
    drawn = as_text(read(f'{HEAD}><node client_id="a">{interfaces}</node>{links}</rspec>'), width=80)
    rows = [line for line in drawn.splitlines() if line.startswith("a ")]
    assert len(rows) == 3
    assert sum(row.count("●") for row in rows) == 60
    assert all(len(row) <= 80 for row in rows)


def test_what_somebody_else_wrote_can_not_steer_a_terminal_or_a_browser():
    evil = "&#9;&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u202e"
    document = read(f'{HEAD}><node client_id="{evil}"><sliver_type name="{evil}"/></node></rspec>')
    assert "\u202e" not in as_text(document)
    assert "\t" not in as_text(document)
    svg = as_svg(document)
    assert "<script" not in svg
    assert "\u202e" not in svg


def elements(svg, name):
    return list(etree.fromstring(svg.encode()).iter(f"{{http://www.w3.org/2000/svg}}{name}"))


def test_an_svg_has_a_box_for_each_node_and_a_line_for_each_end():
    svg = as_svg(star(4))
    assert len(elements(svg, "rect")) == 1 + 4  # and the background
    assert len(elements(svg, "line")) == 4 + 2
    assert len(elements(svg, "circle")) == 1
    assert elements(svg, "title")[0].text == "4 nodes, 2 links"


def test_boxes_do_not_touch():
    for count in (1, 2, 3, 7, 40):
        places = [(float(r.get("x")), float(r.get("y"))) for r in elements(as_svg(star(max(count, 2))), "rect")[1:]]
        for number, a in enumerate(places):
            for b in places[:number]:
                assert abs(a[0] - b[0]) >= 132 or abs(a[1] - b[1]) >= 44 or count > 20, (count, a, b)


def test_nodes_stand_where_a_tool_drew_them():
    inside = "".join(
        f'<node client_id="n{n}"><j:location xmlns:j="http://jfed.iminds.be/rspec/ext/jfed/1" x="{x}" y="{y}"/></node>'
        for n, (x, y) in enumerate([(0, 0), (10, 0), (0, 10)])
    )
    boxes = elements(as_svg(read(f"{HEAD}>{inside}</rspec>")), "rect")[1:]
    (x0, y0), (x1, y1), (x2, y2) = [(float(b.get("x")), float(b.get("y"))) for b in boxes]
    assert (y0, x0) == (y1, x2)
    assert x1 > x0 + 132
    assert y2 > y0 + 44


def test_aggregates_are_told_apart():
    svg = as_svg(star(3, extra=' component_manager_id="urn:publicid:IDN+site{n}+authority+am"'))
    assert len({box.get("fill") for box in elements(svg, "rect")}) == 1 + 3
    assert "site2" in svg


def test_an_empty_document_is_drawn_as_such():
    assert as_text(read(f"{HEAD}/>")) == "no nodes\n"
    assert elements(as_svg(read(f"{HEAD}/>")), "title")[0].text == "0 nodes, 0 links"
