"""The benchmark: goals as ratios against floors, both measured in the same run, turn about.

A floor is the least that the same work could cost with the same libraries and without our
guarantees. `make bench` starts its own Kafka and PostgreSQL and stops them. Invariant: a verdict
is computed from what was measured; where nothing could be measured, it says so.
"""
