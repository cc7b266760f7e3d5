rule index:
    input:
        embeddings=lambda wildcards: plan.neighbors[wildcards.neighbors].inputs["embeddings"],
    output:
        index="results/neighbors/{neighbors}/index.faiss",
        checksum="results/neighbors/{neighbors}/index.faiss.sha256",
        manifest="results/neighbors/{neighbors}/index.json",
    log:
        "logs/index/{neighbors}.log",
    benchmark:
        "logs/index/{neighbors}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("index", "threads")
    resources:
        mem_mb=asks("index", "mem_mb"),
        runtime=asks("index", "runtime"),
        gpu=asks("index", "gpu"),
    params:
        settings=lambda wildcards: plan.neighbors[wildcards.neighbors].settings,
        code=lambda wildcards: plan.neighbors[wildcards.neighbors].code,
    shell:
        start("index", "neighbors build") + " --settings {params.settings:q} --embeddings {input.embeddings}"
        " --index {output.index} --manifest {output.manifest}"


rule neighbors:
    input:
        embeddings=lambda wildcards: plan.neighbors[wildcards.neighbors].inputs["embeddings"],
        train=lambda wildcards: plan.neighbors[wildcards.neighbors].inputs["train"],
        index=rules.index.output.index,
        checksum=rules.index.output.checksum,
    output:
        neighbors="results/neighbors/{neighbors}/neighbors.parquet",
        report="results/neighbors/{neighbors}/report.json",
        manifest="results/neighbors/{neighbors}/neighbors.json",
    log:
        "logs/search/{neighbors}.log",
    benchmark:
        "logs/search/{neighbors}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("search", "threads")
    resources:
        mem_mb=asks("search", "mem_mb"),
        runtime=asks("search", "runtime"),
        gpu=asks("search", "gpu"),
    params:
        settings=lambda wildcards: plan.neighbors[wildcards.neighbors].settings,
        code=lambda wildcards: plan.neighbors[wildcards.neighbors].code,
    shell:
        start("search", "neighbors search") + " --settings {params.settings:q} --embeddings {input.embeddings}"
        " --index {input.index} --labels-from {input.train}"
        " --neighbors {output.neighbors} --report {output.report} --manifest {output.manifest}"
