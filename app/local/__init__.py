"""Faces drawn in the browser: the scripts that draw, and a page that shows them at work."""
