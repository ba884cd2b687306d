"""Which methods the runs tell apart: seeds that all have, held-out values, paired tests, marks of ties.

It may import what its package may. Start with :mod:`.paired`.
"""
