"""What can be known before the first job starts: of files that jobs will read, and of the place for what they make."""
