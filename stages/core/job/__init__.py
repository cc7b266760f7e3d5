"""What surrounds a stage's work: its command line and manifest, signals, saving, resuming, one process at a time."""
