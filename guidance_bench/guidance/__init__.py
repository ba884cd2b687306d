"""What a guidance method is: queries, steps, compositions, schedules, pre-passes.

Imports core, storage and networks. Start with :mod:`.method`; the methods themselves lie in ``methods/``.
"""
