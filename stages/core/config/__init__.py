"""The experiment's settings: one frozen model a section, unknown keys refused, every value bounded and described.

Numbers may be written 8/255 or 1e-1 (which YAML 1.1 reads as a string). Rules between settings of a section are its
validators, so the plan refuses what breaks them and no stage needs to. Nothing in this room imports torch.
"""
