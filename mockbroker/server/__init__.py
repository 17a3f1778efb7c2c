"""The HTTP server: the Flask application, the listener that runs it, and certificates."""
