"""Live updates: one watch of the server for each study, shared by all readers of a gateway."""
