"""Tables, series, and components of data."""
