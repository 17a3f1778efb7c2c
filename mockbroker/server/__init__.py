"""The HTTP server: the Flask application, the listener that runs it, and certificates.

It exists because faults need the socket: an ordinary WSGI server cannot reset a connection, stall,
or keep a request exactly as it was received.

What a request means is left to the broker that is mounted at its path.
"""
