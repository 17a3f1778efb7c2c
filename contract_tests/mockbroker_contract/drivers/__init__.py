"""Drivers of every client: Python objects in a host process, programs in any language."""
