"""The pipeline's stages: data, features, neighbors, structure, train, weights, attack, pictures, tables."""

import gc
import sys

if sys.argv[:1] == ["-m"]:
    # A stage starts. Its imports make a million objects that stay, and Python would look for garbage among them again
    # and again, a sixth of the start.
    gc.set_threshold(10_000)
