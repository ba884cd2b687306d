"""The autoencoders: one file a kind, found by the registry :data:`guidance_bench.latents.AUTOENCODERS`."""
