"""Whether the files of an experiment are those that its jobs wrote, and what is done where they are not."""
