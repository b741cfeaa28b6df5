// Datasets: a zip as it is, or a folder that is packed here, sent with its progress.

import { byId, root, t } from "./page.js";
import { downloadZip } from "./client-zip.js";
import { onClick, showProblem, upload } from "./studio.js";

const USED = /\.(a?png|p?jpe?g?|jpg_large|ji?f|jfif|pjp|mpo|webp|gif|bmp|dib|avifs?|hei[cf]|hif|tiff?)$|(^|\/)(metadata\.([ct]sv|jsonl)|dataset\.json)$/i;
const ARCHIVE = /\.(zip|tar|t?gz|bz2|xz|zst|7z|rar|jar)$/i; // refused within an archive
let chosen = null; // a File, or a list of {name, input}
let suggested = "";

function choose(what, name, words) {
  chosen = what;
  byId("chosen").textContent = words;
  const plain = name.toLowerCase().replace(/\.zip$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|-+$/g, "").slice(0, 63);
  if (byId("name").value === suggested) byId("name").value = suggested = plain;
}

const zip = (file) => choose(file, file.name, t("studio.data.chosen", { name: file.name }));

function folder(files, name) {
  const used = files.filter((file) => USED.test(file.name));
  if (!used.length) return showProblem(t("studio.data.empty"));
  // The server counts what it does not use by its name; an empty file is enough for that.
  const others = files.filter((file) => !USED.test(file.name) && !ARCHIVE.test(file.name));
  choose([...used, ...others.map(({ name }) => ({ name, input: "" }))], name, t("studio.data.chosen.folder", { name, n: used.length, all: files.length }));
}

byId("zip")?.addEventListener("change", () => byId("zip").files[0] && zip(byId("zip").files[0]));
byId("folder")?.addEventListener("change", () => {
  const files = [...byId("folder").files].map((file) => ({ name: file.webkitRelativePath, input: file }));
  if (files.length) folder(files, files[0].name.split("/")[0]);
});

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [{ name: entry.fullPath.slice(1), input: file }];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives a hundred at a time.
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await walk(inner)));
  }
}

const drop = byId("drop");
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  if (drop) addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragenter" || type === "dragover");
  });
}
if (drop) addEventListener("drop", async (event) => {
  showProblem();
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return;
  const [only] = entries;
  if (entries.length === 1 && only.isFile && /\.zip$/i.test(only.name)) return zip(event.dataTransfer.files[0]);
  const files = [];
  for (const entry of entries) files.push(...(await walk(entry)));
  folder(files, only.name.replace(/\.[^.]*$/, ""));
});

onClick(byId("send"), async () => {
  if (!byId("upload").reportValidity()) return;
  if (!chosen) throw new Error(t("studio.data.nothing"));
  const query = new URLSearchParams({ name: byId("name").value, licence: byId("licence").value });
  await upload(`/datasets?${query}`, chosen instanceof File ? chosen : downloadZip(chosen).blob());
  location.href = `${root}/studio/datasets/${byId("name").value}`;
});
