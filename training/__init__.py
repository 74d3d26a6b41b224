"""Scripts that train the models of the zoo; run ``python -m training --help``.

The wheel does not contain this package: ``blackbox_am.zoo`` ships the trained weights.
"""
