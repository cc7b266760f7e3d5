"""AutoAttack's algorithms point by point: what is broken leaves at once, and what is drawn belongs to the point."""
