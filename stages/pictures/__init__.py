"""Pictures for a report: anchors with their neighbors, and adversarial images."""
