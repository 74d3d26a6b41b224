"""Programs of any language, spoken to over pipes."""
