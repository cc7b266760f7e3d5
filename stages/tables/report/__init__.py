"""One HTML file that shows an experiment: its verdict first, then every table, curve and picture behind it."""
