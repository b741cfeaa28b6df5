// Swagger UI, which is a classic script, over this server's own document.
const root = document.documentElement.dataset.root;
window.SwaggerUIBundle({
  url: `${root}/openapi.json`,
  dom_id: "#swagger",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
});
