"""Section 3.3 measured: local Lipschitz constants of a checkpoint, Theorem 1's radius, and what is broken inside it."""
