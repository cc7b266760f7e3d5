"""What two or more stages share: configuration, artifacts, threat models, perturbation, augmentation, models."""
