"""Oracles in other processes, reached by `blackbox_am.v1.OracleService`."""
