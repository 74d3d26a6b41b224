"""Generated from `protos/blackbox_am/v1` by `make protos`. Never edited."""
