rule structure:
    input:
        unpack(lambda wildcards: plan.structure[wildcards.structure].inputs),
    output:
        **STRUCTURE.outputs("{structure}"),
    log:
        STRUCTURE.log("{structure}"),
    benchmark:
        benchmark_of(STRUCTURE, "{structure}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", STRUCTURE.resources)
    resources:
        **resources_of(STRUCTURE.resources),
    params:
        settings=lambda wildcards: plan.structure[wildcards.structure].settings,
        code=lambda wildcards: plan.structure[wildcards.structure].code,
    shell:
        command(STRUCTURE) + " --settings {params.settings:q} --neighbors {input.neighbors}"
        " --embeddings {input.embeddings} --structure {output.structure} --manifest {output.manifest}"
