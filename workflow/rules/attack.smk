# The manifest lies beside the outcomes undeclared: the next plan reads it to keep this job (see
# workflow/planning/attack_jobs.py), also while the outcomes are being made anew.
rule attack:
    input:
        unpack(lambda wildcards: plan.attack[wildcards.attacks].inputs),
    output:
        **ATTACK.outputs("{attacks}"),
    log:
        ATTACK.log("{attacks}"),
    benchmark:
        benchmark_of(ATTACK, "{attacks}")
    conda:
        CONDA
    threads: resource("threads", attack_asks)
    resources:
        **resources_of(attack_asks),
    params:
        settings=lambda wildcards: plan.attack[wildcards.attacks].settings,
        code=lambda wildcards: plan.attack[wildcards.attacks].code,
    shell:
        command(ATTACK) + resumable(ATTACK, "{wildcards.attacks}") + " --settings {params.settings:q}"
        " --checkpoint {input.checkpoint} --test {input.test} --outcomes {output.outcomes}"
        f" --manifest {ATTACK.file('manifest', '{wildcards.attacks}')}"
