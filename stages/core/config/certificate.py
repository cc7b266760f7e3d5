"""What a certificate is asked: on how many test images, and at which radius."""

from pydantic import Field, model_validator

from stages.core.config.quantities import Count, Positive, Seed
from stages.core.config.recipe import check_scale
from stages.core.config.section import Section

ATTACKS = ("clean", "random-noise", "fgsm", "pgd", "margin-pgd", "autoattack-engine")
IMAGES = 200
RADIUS = 8 / 255


class Certificate(Section):
    """How checkpoints are certified, those of `certify`."""

    images: Count = Field(IMAGES, description="test images that its checks are made on, classes in proportion")
    epsilon: Positive | None = Field(
        None,
        description="radius of the L-infinity ball; default: that of the recipe's attack, 8/255 under L2 or for a"
        " checkpoint from elsewhere",
    )

    @model_validator(mode="after")
    def _scaled(self) -> "Certificate":
        check_scale("linf", epsilon=self.epsilon or 0.0)
        return self


class CertificateSettings(Section):
    """What the job of a certificate is given."""

    images: Count = Field(IMAGES, description="test images, classes in proportion")
    epsilon: Positive = Field(RADIUS, description="radius of the L-infinity ball; pixels are in [0, 1]")
    seed: Seed = Field(0, description="of random starts and noise")

    @model_validator(mode="after")
    def _scaled(self) -> "CertificateSettings":
        check_scale("linf", epsilon=self.epsilon)
        return self
