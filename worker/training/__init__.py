"""The training process and what it is made of."""
