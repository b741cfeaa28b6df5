"""Response headers that several packages of routes send."""

# The browser must not guess another media type (https://fetch.spec.whatwg.org/#x-content-type-options-header).
NO_SNIFF = {"X-Content-Type-Options": "nosniff"}
# Pages of every origin may read and embed the answer, those with COEP too; it depends on no cookie.
SHARED = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
