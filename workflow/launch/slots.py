"""Slots on GPUs: each is held by one job at most, of whatever user, until the job's process is gone.

Snakemake counts the GPU jobs of one workflow and gives none of them a GPU; two workflows, or two users, on one machine
know nothing of each other, so each job finds itself a free GPU here.

A slot is the name of a Unix socket in Linux's abstract namespace (unix(7)). The kernel lets one process on the machine
bind a name, and frees it when that process has ended in whatever way. Lock files would need a folder that all users
may write to, and care for what they leave in it.
"""

import errno
import operator
import os
import socket
import sys
import time
from collections.abc import Sequence

from workflow.launch.devices import Device

SECONDS_BETWEEN_LOOKS = 0.5


def hold_slot(devices: Sequence[Device], jobs_per_gpu: int) -> Device:
    """Wait for a free slot and hold it in this process, and in the program that it becomes; returns the slot's GPU."""
    waiting = False
    while (device := _take_one(devices, jobs_per_gpu)) is None:
        if not waiting:
            slots = f"{len(devices) * jobs_per_gpu} slot(s) of {len(devices)} device(s)"
            print(f"waiting for a GPU: all {slots} are taken", file=sys.stderr, flush=True)
        waiting = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return device


def _take_one(devices: Sequence[Device], jobs_per_gpu: int) -> Device | None:
    """Hold a free slot on the GPU with the fewest jobs; None if all are taken."""
    ranked: list[tuple[int, Device, str]] = []
    for device in devices:
        names = [f"\0lsp-gpu {device.name} slot {slot}" for slot in range(jobs_per_gpu)]
        free = [name for name in names if not _is_taken(name)]
        # A slot ranks by the jobs its GPU would have before it: of jobs that start at once, one that loses a slot to
        # another goes on to the next GPU.
        ranked += [(jobs_per_gpu - len(free) + rank, device, name) for rank, name in enumerate(free)]
    for _, device, name in sorted(ranked, key=operator.itemgetter(0)):
        if _take(name):
            return device
    return None


def _is_taken(name: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(name) != errno.ECONNREFUSED


def _take(name: str) -> bool:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bound.bind(name)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    os.set_inheritable(bound.detach(), True)
    return True
