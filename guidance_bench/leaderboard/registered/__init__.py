"""What a board must know of the methods, metrics and benchmarks that are registered here, without loading them.

May import the registries, inside functions alone: they bring torch. Start with :mod:`.look_up`.
"""
