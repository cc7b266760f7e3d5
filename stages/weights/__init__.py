"""Stage weights: a checkpoint from elsewhere, read, recognized, checked, and written as one of ours."""
