"""PlanetLab-compatible doors. Not built yet; nothing here is registered."""
