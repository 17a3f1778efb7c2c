"""One protocol for every client: Python objects in a host process, and programs in any language."""
