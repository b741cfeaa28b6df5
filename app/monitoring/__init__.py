"""What is wrong while faces are served: faults, waiting runs, stuck drawings."""
