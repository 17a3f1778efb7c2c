"""Pure values: HTTP messages, credentials, tokens, exchanges, profiles.

They depend on nothing else in the package. All are immutable, so threads share them freely.
"""
