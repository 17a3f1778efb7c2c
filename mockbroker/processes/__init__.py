"""Starting programs, holding signals back, and ending every process that they started.

An app under audit and a client under check may start processes, daemons included. None may remain
on the user's machine.
"""
