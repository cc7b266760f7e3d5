"""Whether a checkpoint's robust accuracies can be believed: checks of the model and of the attacks, with evidence."""
