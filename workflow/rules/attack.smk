def attack_job(wildcards):
    """The planned job of a checkpoint's group of attacks."""
    return plan.attack[f"{wildcards.run}/{wildcards.group}"]


def attack_asks(what):
    """Cheap attacks share a job and ask for `attack`; AutoAttack is alone and asks for `autoattack`."""

    def asked(wildcards, attempt):
        stage = "attack" if wildcards.group.startswith("attacks-") else "autoattack"
        return attempt * getattr(experiment.stage_resources(stage), what)

    return asked


# The manifest lies beside the outcomes undeclared: the next plan reads it to keep this job (see workflow/groups.py),
# also while the outcomes are being made anew.
rule attack:
    input:
        checkpoint=lambda wildcards: attack_job(wildcards).inputs["checkpoint"],
        test=lambda wildcards: attack_job(wildcards).inputs["test"],
    output:
        outcomes="results/attack/{run}/{group}.parquet",
    params:
        settings=lambda wildcards: attack_job(wildcards).settings,
        code=lambda wildcards: attack_job(wildcards).code,
    log:
        "logs/attack/{run}/{group}.log",
    benchmark:
        "logs/attack/{run}/{group}.benchmark.tsv"
    threads: asks("attack", "threads")
    resources:
        mem_mb=attack_asks("mem_mb"),
        runtime=attack_asks("runtime"),
        gpu=asks("attack", "gpu"),
    shell:
        "python -m stages.attack --settings {params.settings:q} --checkpoint {input.checkpoint} --test {input.test}"
        " --outcomes {output.outcomes} --manifest results/attack/{wildcards.run}/{wildcards.group}.json"
        " --device {DEVICE} --threads {threads} > {log} 2>&1"
