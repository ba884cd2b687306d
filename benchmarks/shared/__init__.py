"""What several benchmarks are made of: grids, pixels as latents, trained or pinned networks, Inception as evaluator."""
