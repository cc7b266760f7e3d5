"""The pipeline's stages: data, features, neighbors, structure, train, attack, tables."""
