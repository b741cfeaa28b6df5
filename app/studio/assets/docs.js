// Swagger UI, which is a classic script, over this server's own document.

const html = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

// Its own name for the dark colours.
function colour() {
  const { theme } = html.dataset;
  html.classList.toggle("dark-mode", theme === "auto" ? dark.matches : theme === "dark");
}
new MutationObserver(colour).observe(html, { attributeFilter: ["data-theme"] });
dark.addEventListener("change", colour);

window.SwaggerUIBundle({
  url: `${html.dataset.root}/openapi.json`,
  dom_id: "#swagger",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
  onComplete: colour, // it follows the system until then
});
colour();
