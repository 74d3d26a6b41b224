"""The catalogue: the oracles, generators and sets of natural images that an operator has
registered, by name.

A request names an entry of the catalogue and nothing else: no code, file or URL ever
comes from a caller. Entries are built when they are first used.
"""

from blackbox_am.catalogue._catalogue import SHIPPED, Catalogue, with_shipped
from blackbox_am.catalogue._folders import (
    folder_entry,
    folder_generator,
    is_generator_folder,
    write_manifest,
)
from blackbox_am.catalogue._images import Images, ImagesFolder, ImagesGiven
from blackbox_am.catalogue._settings import StudySettings
from blackbox_am.catalogue._shelf import VARIANTS

__all__ = [
    "SHIPPED",
    "VARIANTS",
    "Catalogue",
    "Images",
    "ImagesFolder",
    "ImagesGiven",
    "StudySettings",
    "folder_entry",
    "folder_generator",
    "is_generator_folder",
    "with_shipped",
    "write_manifest",
]
