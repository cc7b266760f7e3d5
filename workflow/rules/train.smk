rule train:
    input:
        unpack(lambda wildcards: plan.train[wildcards.run].inputs),
    output:
        checkpoint="results/train/{run}/model.safetensors",
        history="results/train/{run}/history.parquet",
        manifest="results/train/{run}/manifest.json",
    log:
        "logs/train/{run}.log",
    benchmark:
        "logs/train/{run}.benchmark.tsv"
    # Training is the longest: started before attacks that wait too, it leaves no core idle at the end.
    priority: 1
    conda:
        CONDA
    threads: asks("train", "threads")
    resources:
        mem_mb=asks("train", "mem_mb"),
        runtime=asks("train", "runtime"),
        gpu=asks("train", "gpu"),
    params:
        settings=lambda wildcards: plan.train[wildcards.run].settings,
        code=lambda wildcards: plan.train[wildcards.run].code,
        optional=lambda wildcards, input: " ".join(
            optional(f"--{name}", input.get(name)) for name in ("structure", "monitor", "helper")
        ),
    shell:
        start("train", "train") + resumable("train", "{wildcards.run}") + " --settings {params.settings:q}"
        " --train {input.train} --test {input.test} {params.optional}"
        " --checkpoint {output.checkpoint} --history {output.history} --manifest {output.manifest}"
