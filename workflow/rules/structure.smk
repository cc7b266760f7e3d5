rule structure:
    input:
        neighbors=lambda wildcards: plan.structure[wildcards.structure].inputs["neighbors"],
        embeddings=lambda wildcards: plan.structure[wildcards.structure].inputs["embeddings"],
    output:
        structure="results/structure/{structure}/structure.parquet",
        manifest="results/structure/{structure}/manifest.json",
    log:
        "logs/structure/{structure}.log",
    benchmark:
        "logs/structure/{structure}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("structure", "threads")
    resources:
        mem_mb=asks("structure", "mem_mb"),
        runtime=asks("structure", "runtime"),
        gpu=asks("structure", "gpu"),
    params:
        settings=lambda wildcards: plan.structure[wildcards.structure].settings,
        code=lambda wildcards: plan.structure[wildcards.structure].code,
    shell:
        start("structure", "structure") + " --settings {params.settings:q} --neighbors {input.neighbors}"
        " --embeddings {input.embeddings} --structure {output.structure} --manifest {output.manifest}"
