"""Attacks, one a file: the function named like its file turns images into adversarial images.

Its keyword-only arguments are its options in a config and their defaults the defaults there. A file that says
`UNBOUNDED = True` minimizes the perturbation's size and is not held to epsilon; NORMS are those it takes (both, where
it does not say) and LEAST_CLASSES the fewest classes it can do with. `FOLDED = True` asks for the folded copy of the
model (stages/core/models/folding.py), with `CHOOSES = True` where it returns, of several images, one that the copy got
wrong; `ALL_AT_ONCE = True` asks for all images and a judge (stages/attack/evaluation.py).
"""
