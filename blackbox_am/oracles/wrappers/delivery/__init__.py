"""Wrappers around the call: retries, time limits, rates, quotas, concurrency."""
