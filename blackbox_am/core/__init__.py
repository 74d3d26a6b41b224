"""The vocabulary: what every other part of blackbox_am speaks of."""
