"""Real servers of the Open Inference Protocol, for tests and benchmarks.

Each lives in a virtual environment of its own: nothing of theirs is imported here.
``network`` and the programs ``on_*`` run there.
"""
