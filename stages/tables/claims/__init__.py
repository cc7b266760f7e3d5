"""Claims about tables, the paper's and users' own: which comparisons each makes, and what the outcomes say of it."""
