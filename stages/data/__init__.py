"""Stage data: find or download a data set, verify it, and decode it once into uint8 image artifacts."""
