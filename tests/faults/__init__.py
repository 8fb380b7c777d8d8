"""Campaigns of faults: servers, workers, disks and Redis fail while tasks are submitted and run.

What clients were promised is checked from outside, over HTTP and by the effects of handlers.
`python -m faults --help`, run in `tests`, goes on for as long as you like.
"""
