"""The wire: how our values become protobuf messages and back. Never imports torch."""
