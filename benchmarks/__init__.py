"""The measurements that docs/benchmarks.md shows: `python -m benchmarks` repeats them.

Each module measures one part. The results are stored in benchmarks/results, a file for each part,
and the page is made from them, so that one part can be measured again by itself.
"""
