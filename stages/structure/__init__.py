"""Stage structure: each anchor's companions and its structure vector P_x (Eq. 2)."""
