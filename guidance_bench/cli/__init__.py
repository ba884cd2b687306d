"""The command line, one file a verb; what a verb does lies in the packages above.

Imports everything. Start with :mod:`.main`.
"""
