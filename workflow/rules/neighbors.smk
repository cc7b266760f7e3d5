rule index:
    input:
        unpack(lambda wildcards: plan.index[wildcards.neighbors].inputs),
    output:
        **INDEX.outputs("{neighbors}"),
    log:
        INDEX.log("{neighbors}"),
    benchmark:
        benchmark_of(INDEX, "{neighbors}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", INDEX.resources)
    resources:
        **resources_of(INDEX.resources),
    params:
        settings=lambda wildcards: plan.index[wildcards.neighbors].settings,
        code=lambda wildcards: plan.index[wildcards.neighbors].code,
    shell:
        command(INDEX) + " --settings {params.settings:q} --embeddings {input.embeddings}"
        " --index {output.index} --manifest {output.manifest}"


rule neighbors:
    input:
        unpack(lambda wildcards: plan.neighbors[wildcards.neighbors].inputs),
    output:
        **NEIGHBORS.outputs("{neighbors}"),
    log:
        NEIGHBORS.log("{neighbors}"),
    benchmark:
        benchmark_of(NEIGHBORS, "{neighbors}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", NEIGHBORS.resources)
    resources:
        **resources_of(NEIGHBORS.resources),
    params:
        settings=lambda wildcards: plan.neighbors[wildcards.neighbors].settings,
        code=lambda wildcards: plan.neighbors[wildcards.neighbors].code,
    shell:
        command(NEIGHBORS) + " --settings {params.settings:q} --embeddings {input.embeddings}"
        " --index {input.index} --labels-from {input.train}"
        " --neighbors {output.neighbors} --report {output.report} --manifest {output.manifest}"
