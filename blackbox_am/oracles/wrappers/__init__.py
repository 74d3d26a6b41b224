"""What can be put around any oracle. One file is one wrapper."""
