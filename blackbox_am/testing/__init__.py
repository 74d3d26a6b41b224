"""Contract suites for plug-ins, and servers and models for tests."""
