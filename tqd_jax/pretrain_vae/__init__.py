"""Training of a small Wan autoencoder on rendered clips: what `make pretrain-vae` runs."""
