// Faces of a team: a stream of faces that are all distinct, then a sheet or a ZIP of them.

import { byId, create, on, request, root, save, t } from "./page.js";
import { downloadZip } from "./client-zip.js";

const SIDE = 256; // pixels of a face
const LABEL = 40; // pixels of the name below it
const MOST_LINES = 300; // sent; the server draws 200 names
const figures = [...document.querySelectorAll("#team figure")];
const names = figures.map((figure) => figure.lastChild.textContent);
const faces = []; // {type, content, address}, in the order of the names

on("file", "change", async ({ target }) => {
  const bytes = await target.files[0].arrayBuffer();
  const read = (coding) => new TextDecoder(coding).decode(bytes);
  const text = read(new Uint8Array(bytes)[0] === 255 ? "utf-16" : "utf-8");
  // Excel's plain CSV is in the reader's code page.
  byId("names").value = text.includes("\ufffd") ? read(document.documentElement.lang === "zh" ? "gbk" : "cp1252") : text;
  byId("names-form").requestSubmit();
});

on("names-form", "submit", ({ target }) => {
  const names = byId("names");
  names.value = names.value.split("\n", MOST_LINES).join("\n");
  if (names.value.length > 1500) target.method = "post"; // proxies refuse long addresses
});

async function draw() {
  const body = JSON.stringify({ seeds: names, distinct: true, size: SIDE, format: "webp" });
  const headers = { Accept: "application/x-ndjson", "Content-Type": "application/json" };
  const response = await request("/avatars", { method: "POST", headers, body });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.forEach(show);
  }
  byId("zip").disabled = byId("sheet").disabled = faces.length < names.length;
}

function show(line) {
  const face = JSON.parse(line);
  face.image = new Image(SIDE, SIDE);
  face.image.alt = "";
  face.image.src = `data:${face.type};base64,${face.content}`;
  figures[faces.push(face) - 1].firstChild.replaceChildren(face.image);
  byId("done").textContent = t("team.done", { n: faces.length, of: names.length });
}

const csv = (cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(",");
byId("zip")?.addEventListener("click", async () => {
  const files = faces.map(({ content }, n) => ({
    name: `${n + 1} ${names[n].replace(/[\\/:*?"<>|\p{C}]/gu, "_").slice(0, 80)}.webp`,
    input: Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0)),
  }));
  const rows = faces.map(({ address }, n) => csv([names[n], new URL(root + address, location.href).href]));
  files.push({ name: "team.csv", input: [csv(["name", "address"]), ...rows].join("\r\n") });
  save(await downloadZip(files).blob(), "team.zip");
});

byId("sheet")?.addEventListener("click", () => {
  const columns = Math.ceil(Math.sqrt(faces.length));
  const canvas = create("canvas", { width: columns * SIDE, height: Math.ceil(faces.length / columns) * (SIDE + LABEL) });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  Object.assign(context, { fillStyle: "#1d1b18", font: "18px sans-serif", textAlign: "center" });
  faces.forEach(({ image }, n) => {
    const [x, y] = [(n % columns) * SIDE, Math.floor(n / columns) * (SIDE + LABEL)];
    context.drawImage(image, x, y);
    context.fillText(names[n], x + SIDE / 2, y + SIDE + 26, SIDE - 16);
  });
  canvas.toBlob((blob) => save(blob, "team.png"));
});

if (names.length) {
  draw().catch((error) => {
    byId("problem").textContent = error.message;
    byId("problem").hidden = false;
  });
}
