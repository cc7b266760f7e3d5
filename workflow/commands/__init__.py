"""What a user runs beside Snakemake: status, watch, accept, publish, tables."""
