"""Random transformations of stimuli, such as shifts and rotations, for every kind of search."""
