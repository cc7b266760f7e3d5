"""The errors a user can cause or cure; a stage prints them as one line and exits non-zero."""


class StageError(Exception):
    """Something the user can mend: the message names value, rule and cure, on one line whatever it names."""

    def __str__(self) -> str:
        """The message, with line ends and other characters that do not print as Python escapes them."""
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in super().__str__())


class ConfigError(StageError):
    """A config value breaks a rule; the message holds the key's path."""


class ArtifactError(StageError):
    """A file is missing, altered, truncated or does not fit its schema."""


class DownloadError(StageError):
    """A download failed or its checksum differs."""


class DivergenceError(StageError):
    """A loss, feature or logit stopped being finite."""


class AuditError(StageError):
    """An adversarial image left its ball or box, or a verdict did not hold on a second look."""
