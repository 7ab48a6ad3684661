"""What a run stands on: a model of pixels, or published weights of Wan with their VAE and text encoder."""
