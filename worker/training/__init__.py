"""The training process and what it is made of."""

HANDED_BACK = 75  # its exit code after SIGTERM: sysexits.h's EX_TEMPFAIL
