"""Contract suites: run over every registered plug-in, and over yours."""
