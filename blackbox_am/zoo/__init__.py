"""Small trained models and images that ship with the package.

`catalogue` lists them and says how to feed them; `loading` turns an entry into a PyTorch module
or arrays; ``python -m training`` trains them anew. Importing this package imports
neither PyTorch nor diffusers.
"""

from __future__ import annotations

from blackbox_am.zoo.catalogue import Entry, card, entry, metadata, names, path

__all__ = ["Entry", "card", "entry", "metadata", "names", "path"]
