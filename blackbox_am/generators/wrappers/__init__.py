"""What can be put around any generator. One file is one wrapper."""
