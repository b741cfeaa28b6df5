"""The pages that people open: the playground, the studio, the description of the API."""
