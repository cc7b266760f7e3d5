rule weights:
    input:
        unpack(lambda wildcards: plan.weights[wildcards.run].inputs),
    output:
        **WEIGHTS.outputs("{run}"),
    log:
        WEIGHTS.log("{run}"),
    benchmark:
        benchmark_of(WEIGHTS, "{run}")
    conda:
        CONDA
    threads: resource("threads", WEIGHTS.resources)
    resources:
        **resources_of(WEIGHTS.resources),
    params:
        settings=lambda wildcards: plan.weights[wildcards.run].settings,
        code=lambda wildcards: plan.weights[wildcards.run].code,
    shell:
        command(WEIGHTS) + " --settings {params.settings:q} --file {input.file:q} --test {input.test}"
        " --checkpoint {output.checkpoint} --manifest {output.manifest}"
