"""What a user runs beside Snakemake: status, accept, publish, tables."""
