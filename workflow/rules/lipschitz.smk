rule lipschitz:
    input:
        checkpoint=lambda wildcards: plan.lipschitz[wildcards.attacks].inputs["checkpoint"],
        test=lambda wildcards: plan.lipschitz[wildcards.attacks].inputs["test"],
    output:
        **LIPSCHITZ.outputs("{attacks}"),
    log:
        LIPSCHITZ.log("{attacks}"),
    benchmark:
        benchmark_of(LIPSCHITZ, "{attacks}")
    conda:
        CONDA
    threads: resource("threads", LIPSCHITZ.resources)
    resources:
        **resources_of(LIPSCHITZ.resources),
    params:
        settings=lambda wildcards: plan.lipschitz[wildcards.attacks].settings,
        code=lambda wildcards: plan.lipschitz[wildcards.attacks].code,
    shell:
        command(LIPSCHITZ) + resumable(LIPSCHITZ, "{wildcards.attacks}") + " --settings {params.settings:q}"
        " --checkpoint {input.checkpoint} --test {input.test}"
        " --outcomes {output.outcomes} --manifest {output.manifest}"
