"""A spiking network of snntorch, read by its rates, first spikes and membranes."""

from blackbox_am.oracles.snn._oracle import Snn

__all__ = ["Snn"]
