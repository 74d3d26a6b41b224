"""The vocabulary: types and contracts that every other part of blackbox_am uses."""
