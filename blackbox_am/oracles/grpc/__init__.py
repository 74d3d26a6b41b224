"""Oracles of other processes, spoken to by our own `OracleService`."""
