"""The HTTP surface: the Flask application, the listener that runs it, and certificates."""
