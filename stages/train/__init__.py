"""Stage train: a classifier by any method, from images and structure vectors to a checkpoint and its history."""
