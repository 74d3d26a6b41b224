"""The zoo: small trained models and natural images that ship with the package.

`catalogue` lists the entries and describes their inputs. `loading` turns an entry into a PyTorch
module or into arrays. ``python -m training``, in the repository but not in the wheel, trains the
models again. Importing this package imports neither PyTorch nor diffusers.
"""

from __future__ import annotations

from blackbox_am.zoo.catalogue import Entry, card, entry, metadata, names, path

__all__ = ["Entry", "card", "entry", "metadata", "names", "path"]
