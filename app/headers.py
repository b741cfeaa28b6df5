"""Response headers that several rooms send."""

# The browser must not guess another media type (https://fetch.spec.whatwg.org/#x-content-type-options-header).
NO_SNIFF = {"X-Content-Type-Options": "nosniff"}
NOT_STORED = {"Cache-Control": "no-store", **NO_SNIFF}
