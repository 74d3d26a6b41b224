"""Evolution strategies: a distribution that moves towards better samples."""
