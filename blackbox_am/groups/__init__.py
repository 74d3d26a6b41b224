"""Studies that belong together: a comparison, a sweep, several attacks."""
