"""Retraining the zoo's models: ``python -m training cnn|vit|vae|vq|probe``."""
