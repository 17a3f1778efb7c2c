"""The command ``mockbroker``.

Modules of this package read options, print, and handle signals. What they print is computed in
`mockbroker.report`, and what they serve in `mockbroker.server`. Imports are late where a command
would otherwise pay for another command's libraries.
"""
