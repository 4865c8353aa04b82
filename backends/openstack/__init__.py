"""Slivers on an OpenStack cloud. Not built yet: see the issue list; nothing here is registered as a backend."""
