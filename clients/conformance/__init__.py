"""One suite of cases for the clients of all languages: see PROTOCOL.md."""
