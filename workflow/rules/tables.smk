# Tables are made where the main process runs: they take seconds, and a queue may take hours.
localrules:
    table,
    figure,
    comparisons,
    certificates,
    lipschitz_list,
    claims,
    assumptions,
    report,


rule table:
    input:
        lambda wildcards: list(plan.tables[wildcards.table].inputs),
    output:
        **outputs_of(TABLE, f"{experiment.place}/{{table}}"),
    log:
        TABLE.log(f"{experiment.place}/{{table}}"),
    benchmark:
        benchmark_of(TABLE, f"{experiment.place}/{{table}}")
    wildcard_constraints:
        table=tables_of(TABLE),
    conda:
        CONDA
    threads: resource("threads", TABLE.resources)
    resources:
        **resources_of(TABLE.resources),
    params:
        settings=lambda wildcards: plan.tables[wildcards.table].settings,
        code=lambda wildcards: plan.tables[wildcards.table].code,
        folder=lambda wildcards: plan.tables[wildcards.table].folder,
        gone=lambda wildcards: verified.gone.get(wildcards.table, []),
    shell:
        command(TABLE) + " --settings {params.settings:q} --root . --out {params.folder} --manifest {output.manifest}"
        " --gone {params.gone:q}"


use rule table as figure with:
    output:
        **outputs_of(FIGURE, f"{experiment.place}/{{table}}"),
    wildcard_constraints:
        table=tables_of(FIGURE),


# Without a table there are no pairs of rows, and nothing asks for them.
rule comparisons:
    input:
        list(plan.lists["comparisons"].inputs) if "comparisons" in plan.lists else [],
    output:
        **outputs_of(COMPARISONS, f"{experiment.place}/comparisons"),
    log:
        COMPARISONS.log(f"{experiment.place}/comparisons"),
    benchmark:
        benchmark_of(COMPARISONS, f"{experiment.place}/comparisons")
    conda:
        CONDA
    threads: resource("threads", COMPARISONS.resources)
    resources:
        **resources_of(COMPARISONS.resources),
    params:
        settings=lambda wildcards: plan.lists["comparisons"].settings,
        code=lambda wildcards: plan.lists["comparisons"].code,
        folder=lambda wildcards: plan.lists["comparisons"].folder,
    shell:
        command(COMPARISONS) + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


# Without a checkpoint to certify there is no list of certificates, and nothing asks for it.
rule certificates:
    input:
        list(plan.lists["certificates"].inputs) if "certificates" in plan.lists else [],
    output:
        **outputs_of(CERTIFICATES, f"{experiment.place}/certificates"),
    log:
        CERTIFICATES.log(f"{experiment.place}/certificates"),
    benchmark:
        benchmark_of(CERTIFICATES, f"{experiment.place}/certificates")
    conda:
        CONDA
    threads: resource("threads", CERTIFICATES.resources)
    resources:
        **resources_of(CERTIFICATES.resources),
    params:
        settings=lambda wildcards: plan.lists["certificates"].settings,
        code=lambda wildcards: plan.lists["certificates"].code,
        folder=lambda wildcards: plan.lists["certificates"].folder,
    shell:
        command(CERTIFICATES) + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


# Without a checkpoint to measure there is no list of what was measured, and nothing asks for it.
rule lipschitz_list:
    input:
        list(plan.lists["lipschitz"].inputs) if "lipschitz" in plan.lists else [],
    output:
        **outputs_of(LIPSCHITZ_LIST, f"{experiment.place}/lipschitz"),
    log:
        LIPSCHITZ_LIST.log(f"{experiment.place}/lipschitz"),
    benchmark:
        benchmark_of(LIPSCHITZ_LIST, f"{experiment.place}/lipschitz")
    conda:
        CONDA
    threads: resource("threads", LIPSCHITZ_LIST.resources)
    resources:
        **resources_of(LIPSCHITZ_LIST.resources),
    params:
        settings=lambda wildcards: plan.lists["lipschitz"].settings,
        code=lambda wildcards: plan.lists["lipschitz"].code,
        folder=lambda wildcards: plan.lists["lipschitz"].folder,
    shell:
        command(LIPSCHITZ_LIST) + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


rule claims:
    input:
        list(plan.lists["claims"].inputs),
    output:
        **outputs_of(CLAIMS, f"{experiment.place}/claims"),
    log:
        CLAIMS.log(f"{experiment.place}/claims"),
    benchmark:
        benchmark_of(CLAIMS, f"{experiment.place}/claims")
    conda:
        CONDA
    threads: resource("threads", CLAIMS.resources)
    resources:
        **resources_of(CLAIMS.resources),
    params:
        settings=lambda wildcards: plan.lists["claims"].settings,
        code=lambda wildcards: plan.lists["claims"].code,
        folder=lambda wildcards: plan.lists["claims"].folder,
    shell:
        command(CLAIMS) + " --settings {params.settings:q} --root . --out {params.folder}"
        " --manifest {output.manifest}"


rule assumptions:
    output:
        **outputs_of(ASSUMPTIONS, f"{experiment.place}/assumptions"),
    log:
        ASSUMPTIONS.log(f"{experiment.place}/assumptions"),
    benchmark:
        benchmark_of(ASSUMPTIONS, f"{experiment.place}/assumptions")
    conda:
        CONDA
    threads: resource("threads", ASSUMPTIONS.resources)
    resources:
        **resources_of(ASSUMPTIONS.resources),
    params:
        settings=lambda wildcards: plan.lists["assumptions"].settings,
        code=lambda wildcards: plan.lists["assumptions"].code,
        folder=lambda wildcards: plan.lists["assumptions"].folder,
    shell:
        command(ASSUMPTIONS) + " --settings {params.settings:q} --out {params.folder} --manifest {output.manifest}"


rule report:
    input:
        list(plan.lists["report"].inputs),
    output:
        **outputs_of(REPORT, f"{experiment.place}/report"),
    log:
        REPORT.log(f"{experiment.place}/report"),
    benchmark:
        benchmark_of(REPORT, f"{experiment.place}/report")
    conda:
        CONDA
    threads: resource("threads", REPORT.resources)
    resources:
        **resources_of(REPORT.resources),
    params:
        settings=lambda wildcards: plan.lists["report"].settings,
        code=lambda wildcards: plan.lists["report"].code,
        folder=lambda wildcards: plan.lists["report"].folder,
        gone=lambda wildcards: verified.gone.get("report", []),
    shell:
        command(REPORT) + " --settings {params.settings:q} --root . --out {params.folder} --manifest {output.manifest}"
        " --gone {params.gone:q}"
