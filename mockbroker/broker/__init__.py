"""The fake broker: from a request to a reply, without sockets and without an HTTP framework."""
