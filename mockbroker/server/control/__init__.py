"""The control API: what a test in any language does to a running broker, over HTTP.

It lies below ``/__mockbroker__/``, answers in JSON only, and describes itself by OpenAPI. `routes`
is its one table: requests are routed, read and described by it. `access` decides which requests it
accepts at all: a web page in the developer's browser must neither read nor drive a broker.

Control requests pass the broker by: its journal does not have them, and no fault applies to them.
"""
