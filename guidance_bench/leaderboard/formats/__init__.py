"""A sheet in each format that people read it in; each escapes at its own door.

Start with :mod:`.rows`.
"""
