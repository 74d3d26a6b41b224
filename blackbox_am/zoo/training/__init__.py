"""Retraining the zoo's models: ``python -m blackbox_am.zoo.training cnn|vit|vae|vq|probe``."""
