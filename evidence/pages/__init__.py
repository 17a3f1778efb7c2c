"""Generators of the pages and the picture in docs/, a module for each, named by what it makes."""
