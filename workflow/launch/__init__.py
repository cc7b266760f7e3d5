"""How a job starts: a log of its own for each attempt, and a GPU of its own."""
