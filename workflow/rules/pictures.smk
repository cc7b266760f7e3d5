rule pictures:
    input:
        lambda wildcards: list(plan.pictures[wildcards.pictures].inputs.values()),
    output:
        **PICTURES.outputs("{pictures}"),
    log:
        PICTURES.log("{pictures}"),
    benchmark:
        benchmark_of(PICTURES, "{pictures}")
    conda:
        CONDA
    threads: resource("threads", PICTURES.resources)
    resources:
        **resources_of(PICTURES.resources),
    params:
        settings=lambda wildcards: plan.pictures[wildcards.pictures].settings,
        code=lambda wildcards: plan.pictures[wildcards.pictures].code,
        arguments=lambda wildcards: arguments_of_pictures(plan.pictures[wildcards.pictures]),
    shell:
        command(PICTURES) + " --settings {params.settings:q} {params.arguments:q}"
        " --pictures {output.pictures} --manifest {output.manifest}"
