"""Real bugs and real clients, and what is proved by them.

`released_bugs` checks released versions of libraries, `findings` repeats without the kit what was
found in the newest ones, and `pages` writes the pages of the documentation that are generated.
`python -m evidence` refreshes those that are cheap to make, and lists the others.
"""
