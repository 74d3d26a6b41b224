"""Attacks on a classifier: many inputs in one study, every query counted, every success verified.

`problem` turns a threat model into a study, `run` runs it in this process, `results` has what was
found as plain data, and `report` writes it for people.
"""
