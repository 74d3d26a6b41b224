"""Studies: the pure state machine, its journal, and the live object that joins them."""
