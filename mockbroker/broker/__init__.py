"""The fake broker: from a request to a reply, without sockets and without an HTTP framework.

A test can pass requests to it directly. `mockbroker.server` puts it on a socket.
"""
