rule train:
    input:
        unpack(lambda wildcards: plan.train[wildcards.run].inputs),
    output:
        **TRAIN.outputs("{run}"),
    log:
        TRAIN.log("{run}"),
    benchmark:
        benchmark_of(TRAIN, "{run}")
    # Training is the longest: started before attacks that wait too, it leaves no core idle at the end.
    priority: 1
    conda:
        CONDA
    threads: resource("threads", TRAIN.resources)
    resources:
        **resources_of(TRAIN.resources),
    params:
        settings=lambda wildcards: plan.train[wildcards.run].settings,
        code=lambda wildcards: plan.train[wildcards.run].code,
        optional=lambda wildcards, input: " ".join(
            optional(f"--{name}", input.get(name)) for name in ("structure", "monitor", "helper")
        ),
    shell:
        command(TRAIN) + resumable(TRAIN, "{wildcards.run}") + " --settings {params.settings:q}"
        " --train {input.train} --test {input.test} {params.optional}"
        " --checkpoint {output.checkpoint} --history {output.history} --manifest {output.manifest}"
