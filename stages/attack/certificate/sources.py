"""Who proposed the checks."""

CARLINI = "Carlini et al. (2019)"
CROCE = "Croce & Hein (2020), AutoAttack's own checks"
TRAMER = "Tramèr et al. (2020)"
WAGNER = "Carlini & Wagner (2017), on defensive distillation"
PINTOR = "Pintor et al. (2022)"
ZIMMERMANN = "Zimmermann et al. (2022)"
