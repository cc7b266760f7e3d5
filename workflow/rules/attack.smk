# The manifest lies beside the outcomes undeclared: the next plan reads it to keep this job (see workflow/planning/attack_jobs.py),
# also while the outcomes are being made anew.
rule attack:
    input:
        checkpoint=lambda wildcards: attack_job(wildcards).inputs["checkpoint"],
        test=lambda wildcards: attack_job(wildcards).inputs["test"],
    output:
        outcomes="results/attack/{run}/{group}.parquet",
    log:
        "logs/attack/{run}/{group}.log",
    benchmark:
        "logs/attack/{run}/{group}.benchmark.tsv"
    conda:
        CONDA
    threads: attack_asks("threads")
    resources:
        mem_mb=attack_asks("mem_mb"),
        runtime=attack_asks("runtime"),
        gpu=attack_asks("gpu"),
    params:
        settings=lambda wildcards: attack_job(wildcards).settings,
        code=lambda wildcards: attack_job(wildcards).code,
    shell:
        start("attack", "attack")
        + resumable("attack", "{wildcards.run}/{wildcards.group}")
        + " --settings {params.settings:q}"
        " --checkpoint {input.checkpoint} --test {input.test} --outcomes {output.outcomes}"
        " --manifest results/attack/{wildcards.run}/{wildcards.group}.json"
