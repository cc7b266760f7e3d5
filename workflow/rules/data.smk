# Where the files lie (LOCATIONS) is no param: moved files rerun nothing.
# Unlabelled images are written undeclared beside the others: not every data set has them.
rule data:
    output:
        train="results/data/{data}/train.safetensors",
        test="results/data/{data}/test.safetensors",
        manifest="results/data/{data}/manifest.json",
    log:
        "logs/data/{data}.log",
    benchmark:
        "logs/data/{data}.benchmark.tsv"
    conda:
        CONDA
    threads: asks("data", "threads")
    resources:
        mem_mb=asks("data", "mem_mb"),
        runtime=asks("data", "runtime"),
        gpu=asks("data", "gpu"),
    params:
        settings=lambda wildcards: plan.data[wildcards.data].settings,
        code=lambda wildcards: plan.data[wildcards.data].code,
        unlabelled=lambda wildcards: optional("--unlabelled", plan.data[wildcards.data].inputs.get("unlabelled")),
    shell:
        start("data", "data") + " --settings {params.settings:q} --locations {LOCATIONS:q}"
        " --downloads {DOWNLOADS:q}"
        " --train {output.train} --test {output.test} {params.unlabelled}"
        " --manifest {output.manifest}"
