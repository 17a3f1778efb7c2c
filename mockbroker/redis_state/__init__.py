"""The state of a broker in Redis, shared by the processes that serve it.

Redis holds the state, and a script that runs in Redis makes each change in one step. Each process
has a replica of the tokens and clients, because judging and masking search all of them. Redis lists
what changed, and the replica applies it before each request.
"""
