"""The devices of this machine: which there are, and what they can compute."""
