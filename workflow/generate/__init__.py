"""What is generated from the code and held equal by tests: the JSON schema, the conda file; and the workflow's lint."""
