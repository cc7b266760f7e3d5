"""From config files to a plan: every job, what it reads and writes, and what the tables are made of."""
