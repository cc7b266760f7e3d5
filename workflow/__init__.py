"""The workflow: from a config to runs, jobs and targets."""
