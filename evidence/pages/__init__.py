"""Generators of the pages and the picture in docs/, one module each."""
