rule certify:
    input:
        checkpoint=lambda wildcards: plan.certify[wildcards.attacks].inputs["checkpoint"],
        test=lambda wildcards: plan.certify[wildcards.attacks].inputs["test"],
        others=lambda wildcards: list(others_of(wildcards).values()),
    output:
        **CERTIFY.outputs("{attacks}"),
    log:
        CERTIFY.log("{attacks}"),
    benchmark:
        benchmark_of(CERTIFY, "{attacks}")
    conda:
        CONDA
    threads: resource("threads", CERTIFY.resources)
    resources:
        **resources_of(CERTIFY.resources),
    params:
        settings=lambda wildcards: plan.certify[wildcards.attacks].settings,
        code=lambda wildcards: plan.certify[wildcards.attacks].code,
        others=lambda wildcards: [f"{name}={path}" for name, path in others_of(wildcards).items()],
    shell:
        command(CERTIFY) + resumable(CERTIFY, "{wildcards.attacks}") + " --settings {params.settings:q}"
        " --checkpoint {input.checkpoint} --test {input.test} --others {params.others:q}"
        " --certificate {output.certificate} --text {output.text} --manifest {output.manifest}"
