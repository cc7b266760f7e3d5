"""Stage neighbors: each training image's nearest others in the embedding space."""
