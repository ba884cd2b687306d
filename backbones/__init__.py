"""Backbones: SiT, LightningDiT and a toy mixture with an exact velocity. One file each, registered by name."""
