"""The fake broker: from a request to a reply, without sockets and without an HTTP framework.

A test can pass requests to it directly. `mockbroker.server` puts it on a socket.

What is wrong with a request is decided by `mockbroker.contract`.
"""
