"""Criteria of success: one file, one leaf criterion. The file's name is the criterion's kind.

`core.criterion` joins them with & and |.
"""
