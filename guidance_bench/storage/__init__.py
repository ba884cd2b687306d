"""Files that are either whole or not there: downloads, tensors, image sets, the sample store, export.

Imports core. Start with :mod:`.files` and :mod:`.sample_store`.
"""
