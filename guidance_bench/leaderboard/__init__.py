"""Records to what people read: tables, figures, the page.

Imports experiments and all above it. Start with :mod:`.publish`.
"""
