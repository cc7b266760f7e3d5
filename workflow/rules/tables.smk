# Tables are made where the main process runs: they take seconds, and a queue may take hours.
localrules:
    table,
    figure,
    comparisons,
    assumptions,


rule table:
    input:
        table_inputs,
    output:
        csv=f"{TABLES}/{{table}}.csv",
        tex=f"{TABLES}/{{table}}.tex",
        document=f"{TABLES}/{{table}}-document.tex",
        text=f"{TABLES}/{{table}}.txt",
        manifest=f"{TABLES}/{{table}}.json",
    log:
        f"{TABLE_LOGS}/{{table}}.log",
    benchmark:
        f"{TABLE_LOGS}/{{table}}.benchmark.tsv"
    wildcard_constraints:
        table=tables_of("table"),
    conda:
        CONDA
    threads: asks("tables", "threads")
    resources:
        mem_mb=asks("tables", "mem_mb"),
        runtime=asks("tables", "runtime"),
        gpu=asks("tables", "gpu"),
    params:
        settings=lambda wildcards: packed_json(plan.tables[wildcards.table]),
        code=lambda wildcards: plan.table_code[wildcards.table],
        folder=lambda wildcards, output: Path(output.csv).parent,
    shell:
        start("tables", "tables") + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


use rule table as figure with:
    output:
        csv=f"{TABLES}/{{table}}.csv",
        png=f"{TABLES}/{{table}}.png",
        pdf=f"{TABLES}/{{table}}.pdf",
        manifest=f"{TABLES}/{{table}}.json",
    wildcard_constraints:
        table=tables_of("losses"),


rule comparisons:
    input:
        comparison_inputs(),
    output:
        csv=f"{TABLES}/comparisons.csv",
        manifest=f"{TABLES}/comparisons.json",
    log:
        f"{TABLE_LOGS}/comparisons.log",
    benchmark:
        f"{TABLE_LOGS}/comparisons.benchmark.tsv"
    conda:
        CONDA
    threads: asks("tables", "threads")
    resources:
        mem_mb=asks("tables", "mem_mb"),
        runtime=asks("tables", "runtime"),
        gpu=asks("tables", "gpu"),
    params:
        settings=packed_json(comparisons(plan)[0]),
        code=comparisons(plan)[1],
        folder=lambda wildcards, output: Path(output.csv).parent,
    shell:
        start("tables", "tables.comparisons") + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


rule assumptions:
    output:
        listed=f"{TABLES}/assumptions.md",
        manifest=f"{TABLES}/assumptions.json",
    log:
        f"{TABLE_LOGS}/assumptions.log",
    benchmark:
        f"{TABLE_LOGS}/assumptions.benchmark.tsv"
    conda:
        CONDA
    threads: asks("tables", "threads")
    resources:
        mem_mb=asks("tables", "mem_mb"),
        runtime=asks("tables", "runtime"),
        gpu=asks("tables", "gpu"),
    params:
        settings=packed_json(assumed(experiment)),
        code=assumptions_code(),
        folder=lambda wildcards, output: Path(output.manifest).parent,
    shell:
        start("tables", "tables.assumptions") + " --settings {params.settings:q} --out {params.folder}"
        " --manifest {output.manifest}"
