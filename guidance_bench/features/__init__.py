"""Images to named features: Inception, DINOv2, their statistics, one pass for all metrics.

Imports core and storage. Start with :mod:`.extraction`.
"""
