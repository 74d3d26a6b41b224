"""Optimizers around others: choice, restarts, repeats under noise."""
