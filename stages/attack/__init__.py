"""Stage attack: a checkpoint's predictions under every attack, image by image, each one audited."""
