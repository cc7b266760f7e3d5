"""Stage features: MoCo pre-training, or its authors' ImageNet weights, and the embedding of the training images."""
