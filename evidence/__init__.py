"""Checks of real clients and of released bugs, and the generated pages that show the results.

`released_bugs` checks released versions of libraries. `findings` reproduces, without the kit, the
bugs of the newest ones. `pages` generates pages of the documentation. `python -m evidence`
refreshes those that need no check, and lists the others.
"""
