"""Models of PyTorch: modules, TorchScript and exported programs, folders of transformers."""
