rule pretrain:
    input:
        train=lambda wildcards: plan.pretrain[wildcards.features].inputs["train"],
        test=lambda wildcards: plan.pretrain[wildcards.features].inputs["test"],
    output:
        encoder="results/features/{features}/encoder.safetensors",
        history="results/features/{features}/history.parquet",
        manifest="results/features/{features}/pretrain.json",
    log:
        "logs/pretrain/{features}.log",
    benchmark:
        "logs/pretrain/{features}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("pretrain", "threads")
    resources:
        mem_mb=asks("pretrain", "mem_mb"),
        runtime=asks("pretrain", "runtime"),
        gpu=asks("pretrain", "gpu"),
    params:
        settings=lambda wildcards: plan.pretrain[wildcards.features].settings,
        code=lambda wildcards: plan.pretrain[wildcards.features].code,
        unlabelled=lambda wildcards: optional(
            "--unlabelled", plan.pretrain[wildcards.features].inputs.get("unlabelled")
        ),
    shell:
        start("pretrain", "features pretrain")
        + resumable("features", "{wildcards.features}")
        + " --settings {params.settings:q}"
        " --train {input.train} --test {input.test} {params.unlabelled}"
        " --encoder {output.encoder} --history {output.history} --manifest {output.manifest}"


rule embed:
    input:
        unpack(lambda wildcards: plan.embed[wildcards.features].inputs),
    output:
        embeddings="results/features/{features}/embeddings.parquet",
        manifest="results/features/{features}/embed.json",
    log:
        "logs/embed/{features}.log",
    benchmark:
        "logs/embed/{features}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("embed", "threads")
    resources:
        mem_mb=asks("embed", "mem_mb"),
        runtime=asks("embed", "runtime"),
        gpu=asks("embed", "gpu"),
    params:
        settings=lambda wildcards: plan.embed[wildcards.features].settings,
        code=lambda wildcards: plan.embed[wildcards.features].code,
        encoder=lambda wildcards, input: optional("--encoder", input.get("encoder")),
    shell:
        start("embed", "features embed") + " --settings {params.settings:q} --train {input.train} {params.encoder}"
        " --embeddings {output.embeddings} --manifest {output.manifest}"
