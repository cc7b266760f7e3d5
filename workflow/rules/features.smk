rule pretrain:
    input:
        train=lambda wildcards: plan.pretrain[wildcards.features].inputs["train"],
        test=lambda wildcards: plan.pretrain[wildcards.features].inputs["test"],
    output:
        **PRETRAIN.outputs("{features}"),
    log:
        PRETRAIN.log("{features}"),
    benchmark:
        benchmark_of(PRETRAIN, "{features}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", PRETRAIN.resources)
    resources:
        **resources_of(PRETRAIN.resources),
    params:
        settings=lambda wildcards: plan.pretrain[wildcards.features].settings,
        code=lambda wildcards: plan.pretrain[wildcards.features].code,
        unlabelled=lambda wildcards: optional(
            "--unlabelled", plan.pretrain[wildcards.features].inputs.get("unlabelled")
        ),
    shell:
        command(PRETRAIN) + resumable(PRETRAIN, "{wildcards.features}") + " --settings {params.settings:q}"
        " --train {input.train} --test {input.test} {params.unlabelled}"
        " --encoder {output.encoder} --history {output.history} --manifest {output.manifest}"


rule embed:
    input:
        unpack(lambda wildcards: plan.embed[wildcards.features].inputs),
    output:
        **EMBED.outputs("{features}"),
    log:
        EMBED.log("{features}"),
    benchmark:
        benchmark_of(EMBED, "{features}")
    priority: FIRST
    conda:
        CONDA
    threads: resource("threads", EMBED.resources)
    resources:
        **resources_of(EMBED.resources),
    params:
        settings=lambda wildcards: plan.embed[wildcards.features].settings,
        code=lambda wildcards: plan.embed[wildcards.features].code,
        encoder=lambda wildcards, input: optional("--encoder", input.get("encoder")),
    shell:
        command(EMBED) + " --settings {params.settings:q} --train {input.train} {params.encoder}"
        " --embeddings {output.embeddings} --manifest {output.manifest}"
