"""Scripts of plain PyTorch that go along with exported weights; they know nothing of this project."""
