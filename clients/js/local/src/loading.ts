/** Loads models through Cache Storage, and does without it where it is missing or broken. */

import { kernels } from "./kernels.js";
import { Machine } from "./machine.js";
import { Model, type Manifest } from "./model.js";
import { free } from "./scratch.js";
import { Unsupported } from "./values.js";

const CACHE = "kao-models-1";
const VERSION = /^[0-9a-f]{64}$/;

/** The model of a name at a server. Throws where it cannot be loaded or drawn with. */
export async function open(server: string, name: string): Promise<Model> {
  const address = new URL(`models/${encodeURIComponent(name)}/browser.json`, server).href;
  const [module, manifest] = await Promise.all([kernels(), loadManifest(address, name)]);
  const build = async (isFresh: boolean): Promise<Model> => {
    const files = await loadFiles(address, manifest, isFresh);
    const model = new Model(manifest, files, new Machine(module));
    for (const { buffer } of files.values()) free(buffer);
    return model;
  };
  try {
    return await build(false);
  } catch (error) {
    if (error instanceof Unsupported) throw error;
    return build(true); // what is damaged in the cache may be whole at the server
  }
}

async function loadManifest(address: string, name: string): Promise<Manifest> {
  const parse = async (response: Response): Promise<Manifest> => (await response.json()) as Manifest;
  if (VERSION.test(name)) {
    try {
      return await parse(await load(address, false));
    } catch {
      return parse(await load(address, true)); // what the cache has is no JSON
    }
  }
  try {
    return await parse(await load(address, true)); // an alias moves
  } catch (error) {
    const cached = await stored(address); // offline: where it pointed last
    if (!cached) throw error;
    return parse(cached);
  }
}

async function loadFiles(
  address: string,
  manifest: Manifest,
  isFresh: boolean,
): Promise<Map<string, Uint8Array>> {
  const entries = Object.entries(manifest.files).map(async ([name, { url }]) => {
    const response = await load(new URL(url, address).href, isFresh);
    return [name, new Uint8Array(await response.arrayBuffer())] as const;
  });
  return new Map(await Promise.all(entries));
}

/** An answer from the cache, else from the server, which is then kept. */
async function load(address: string, isFresh: boolean): Promise<Response> {
  const cached = isFresh ? undefined : await stored(address);
  if (cached) return cached;
  const response = await fetch(address, { credentials: "same-origin" });
  if (!response.ok) throw new Error(`${address} answers ${response.status}.`);
  await keep(address, response.clone());
  return response;
}

async function stored(address: string): Promise<Response | undefined> {
  try {
    return await (await caches.open(CACHE)).match(address);
  } catch {
    return undefined;
  }
}

async function keep(address: string, response: Response): Promise<void> {
  try {
    await (await caches.open(CACHE)).put(address, response);
  } catch {
    // No room, no permission, no cache: the next visit loads again.
  }
}
