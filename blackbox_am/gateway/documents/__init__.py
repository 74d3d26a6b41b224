"""The JSON forms of messages of the server."""
