"""Wrappers that see to it that a call is answered: again, later, in time, within limits."""
