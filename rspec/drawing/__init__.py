"""Draw the topology of an RSpec: as text for a terminal, or as SVG."""

from rspec.drawing.svg import as_svg
from rspec.drawing.text import as_text

__all__ = ["as_svg", "as_text"]
