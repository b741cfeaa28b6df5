"""Limits of what is in progress at once: uploads, event streams, batches, bodies in memory."""
