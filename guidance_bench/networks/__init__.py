"""What is guided: the backbone interface, the interpolant, official layouts and checkpoints, autoencoders.

Imports core and storage. Start with :mod:`.backbone`.
"""
