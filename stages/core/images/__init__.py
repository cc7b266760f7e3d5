"""Images and what is done to them by more than one stage: pixels, splits, augmentations, threats and the search."""
