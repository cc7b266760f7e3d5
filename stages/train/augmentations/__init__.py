"""Augmentations of a training batch, one file each; found by file name like the objectives."""
