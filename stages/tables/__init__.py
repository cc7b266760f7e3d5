"""Stage tables: per-example outcomes and training histories to the paper's tables and figures."""
