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

const spec = await (await fetch(`${html.dataset.root}/openapi.json`)).json();
// No lock on what needs no key.
for (const operation of Object.values(spec.paths).flatMap(Object.values)) {
  if (operation.security?.some((scheme) => !Object.keys(scheme).length)) delete operation.security;
}
window.SwaggerUIBundle({
  spec,
  dom_id: "#swagger",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: colour, // it follows the system until then
});
colour();
