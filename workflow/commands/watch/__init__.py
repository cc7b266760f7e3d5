"""`python -m workflow.commands.watch`: an experiment while it runs, from its files alone."""
