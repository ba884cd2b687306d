"""From data to networks: recipes, the loss, averaged weights, the training loop.

Imports sampling and all above it. Start with :mod:`.loop`.
"""
