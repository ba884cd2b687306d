"""The autoencoders, one file a kind, found by the registry :data:`.base.AUTOENCODERS`.

Start with :mod:`.base`.
"""
