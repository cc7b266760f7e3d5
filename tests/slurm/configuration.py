"""The files of a SLURM of one node: 8 CPUs that may exceed the real ones, two GPUs that are /dev/null, two partitions.

Of `main` a job is preempted by one of `urgent`: SIGTERM, GraceTime seconds, SIGKILL, and it waits again, for at least
cred_expire seconds. Written for SLURM 22.05.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONF = "etc/slurm-of-the-tests.conf"  # a name that no other cluster's file has
GPUS = 2
SHARDS = 8
FOLDERS = ("etc", "run", "log", "state", "spool", "dev")
SETTINGS = {
    "SlurmctldHost": "localhost(127.0.0.1)",
    "SlurmUser": "root",
    "SlurmdUser": "root",
    "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
    "AuthType": "auth/munge",
    "CredType": "cred/munge",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "MpiDefault": "none",
    "SwitchType": "switch/none",
    "SchedulerParameters": "sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_CPU_Memory",
    "SlurmdParameters": "config_overrides",
    "GresTypes": "gpu,shard",
    "ReturnToService": 2,
    "MinJobAge": 300,
    "KillWait": 5,
    "InactiveLimit": 0,
    "JobRequeue": 1,
    "JobFileAppend": 1,
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "DefMemPerCPU": 256,
    "JobAcctGatherType": "jobacct_gather/linux",
    "JobAcctGatherFrequency": "task=2",
    "JobAcctGatherParams": "OverMemoryKill",
    "AccountingStorageType": "accounting_storage/none",
}
PARTITIONS = {
    "main": {"Default": "YES", "PriorityTier": 1, "PreemptMode": "REQUEUE", "GraceTime": 8},
    "urgent": {"PriorityTier": 10, "PreemptMode": "OFF"},
}


def munge_socket(folder: Path) -> Path:
    """Where munged listens, which signs what the daemons and commands say to each other."""
    return folder / "run/munge.socket"


def write(folder: Path, settings: Mapping[str, Any], main: Mapping[str, Any]) -> None:
    """Every file below `folder`; `settings` and `main` replace lines of slurm.conf and of its partition `main`."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for gpu in range(GPUS):  # SLURM wants a character device, and never opens it
        (folder / f"dev/gpu{gpu}").symlink_to("/dev/null")
    key = folder / "etc/munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    ports = _free_ports(2)
    lines = {
        **SETTINGS,
        "ClusterName": f"tests-{os.urandom(4).hex()}",
        "AuthInfo": f"socket={munge_socket(folder)},cred_expire=5",
        "SlurmctldPort": ports[0],
        "SlurmctldPidFile": folder / "run/slurmctld.pid",
        "SlurmctldLogFile": folder / "log/slurmctld.log",
        "StateSaveLocation": folder / "state",
        "SlurmdPidFile": folder / "run/slurmd.pid",
        "SlurmdLogFile": folder / "log/slurmd.log",
        "SlurmdSpoolDir": folder / "spool",
        **settings,
    }
    node = f"CPUs=8 RealMemory=64000 Gres=gpu:{GPUS},shard:{SHARDS} NodeAddr=127.0.0.1 Port={ports[1]}"
    text = [f"{name}={value}" for name, value in lines.items()]
    text.append(f"NodeName=n1 NodeHostname={socket.gethostname().split('.')[0]} {node}")
    for name, its in PARTITIONS.items():
        words = {"MaxTime": 1440, "DefaultTime": 10, **its, **(main if name == "main" else {})}
        text.append(f"PartitionName={name} Nodes=n1 " + " ".join(f"{key}={value}" for key, value in words.items()))
    (folder / "etc/gres.conf").write_text(
        f"AutoDetect=off\nNodeName=n1 Name=gpu File={folder}/dev/gpu[0-{GPUS - 1}]\n"
        f"NodeName=n1 Name=shard Count={SHARDS}\n"
    )
    (folder / "etc/cgroup.conf").write_text("CgroupAutomount=no\n")
    (folder / CONF).write_text("\n".join(text) + "\n")


def cluster_name(folder: Path) -> str:
    """The name that jobs find in SLURM_CLUSTER_NAME; empty where nothing was written."""
    conf = folder / CONF
    lines = conf.read_text().splitlines() if conf.exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith("ClusterName=")), "")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
